"""Small sound datasets, and ways to make them ill.

A square moves over two backgrounds as the end effector moves over the table; actions are the deltas
that lead to the next frame, disturbed a little.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lam_models.data.lerobot_layout import Schema, camera, vector
from lam_models.data.lerobot_write import DatasetWriter

FPS, LENGTH, EPISODES, SIDE = 20, 48, 6, 48
FRONT, WRIST = "observation.images.front", "observation.images.wrist"
STATE, ACTION, AGES = "observation.state", "action", "observation.age_s"
DATA = "data/chunk-000/file-000.parquet"
VIDEO = f"videos/{FRONT}/chunk-000/file-000.mp4"
STATE_NAMES = ("ee.x_m", "ee.y_m", "ee.z_m", "ee.rx_rad", "ee.ry_rad", "ee.rz_rad", "gripper_width")
ACTION_NAMES = (
    *(f"delta_ee.{axis}" for axis in ("x", "y", "z", "rx", "ry", "rz")),
    "gripper_width",
)
TASKS = ("reach the red cube", "push the cube left", "lift the cube")


@dataclass
class Recorded:
    """One episode before it is written; changed freely. columns: frames by size."""

    images: dict[str, np.ndarray]
    columns: dict[str, np.ndarray]
    task: str


def sound(seed: int, length: int = LENGTH) -> Recorded:
    """Smooth motion over the whole episode, different for every seed."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 2 * np.pi, length + 1)
    phases, speeds = rng.uniform(0, 2 * np.pi, 7), rng.uniform(0.7, 1.4, 7)
    sizes = np.array([0.12, 0.12, 0.08, 0.2, 0.2, 0.2, 0.03])
    path = sizes * np.sin(np.outer(t, speeds) + phases) + [0.45, 0, 0.15, 0, 0, 0, 0.04]
    deltas = np.diff(path, axis=0)
    deltas[:, :3] += rng.normal(0, 0.002, (length, 3))
    action = np.column_stack([deltas[:, :6], path[1:, 6]])
    state = path[:-1]
    images = {FRONT: _film(state, 60, (0, 1)), WRIST: _film(state, 150, (1, 2))}
    columns = {STATE: state.astype(np.float32), ACTION: action.astype(np.float32)}
    return Recorded(images, columns, TASKS[seed % len(TASKS)])


def sound_set(count: int = EPISODES) -> list[Recorded]:
    return [sound(seed) for seed in range(count)]


def write(path: Path, episodes: list[Recorded]) -> Path:
    """As a dataset that holds the cameras and columns of the first episode."""
    features: dict = {key: camera(*film.shape[1:3]) for key, film in episodes[0].images.items()}
    names = {STATE: STATE_NAMES, ACTION: ACTION_NAMES, AGES: ("front", "pose")}
    features |= {key: vector(names[key]) for key in episodes[0].columns}
    with DatasetWriter(path, Schema(FPS, features)) as writer:
        for one in episodes:
            for i in range(len(next(iter(one.images.values())))):
                frame = {key: film[i] for key, film in one.images.items()}
                writer.add_frame(frame | {key: rows[i] for key, rows in one.columns.items()})
            writer.save_episode(one.task)
    return path


def edit_column(root: Path, key: str, change: Callable[[np.ndarray], object]) -> None:
    """Change a column of the data file in place, as (frames, size)."""
    table = pq.read_table(root / DATA)
    field = table.schema.field(key)
    is_list = isinstance(field.type, pa.FixedSizeListType)
    column = table[key].combine_chunks()
    flat = column.flatten() if is_list else column
    values = flat.to_numpy(zero_copy_only=False).copy().reshape(table.num_rows, -1)
    change(values)
    new = pa.array(values.reshape(-1))
    new = pa.FixedSizeListArray.from_arrays(new, type=field.type) if is_list else new
    pq.write_table(table.set_column(table.schema.get_field_index(key), field, new), root / DATA)


def edit_json(root: Path, name: str, change: Callable[[dict], None]) -> None:
    path = root / "meta" / name
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _film(state: np.ndarray, ground: int, axes: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[:SIDE, :SIDE]
    base = np.stack([ground + x, ground + y, np.full_like(x, 255 - ground)], axis=-1)
    film = np.repeat(base[None], len(state), axis=0)
    for i, row in enumerate(state):
        u, v = (int(SIDE * (row[axis] / 0.4 % 1.0) * 0.8) for axis in axes)
        film[i, v : v + 10, u : u + 10] = (230, 30, 30)
    return np.clip(film, 0, 255).astype(np.uint8)
