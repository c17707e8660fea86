"""Recorded episodes whose actions are to be seen: a square goes where the end effector goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from table_episodes import DELTAS, FPS, SIZE

from lam_models.data.lerobot_layout import Schema, camera, vector
from lam_models.data.lerobot_write import DatasetWriter
from lam_models.hands.spec_file import read_hand
from lam_models.policy.inputs import EE_NAMES
from lam_models.sense.pinhole import Pinhole

FRAMES = 16
PIXEL_M = 0.01


def record_squares(
    path: Path,
    episodes: int,
    seed: int = 0,
    pinhole: Pinhole | None = None,
    video: bool = False,
) -> Path:
    """A pixel a PIXEL_M; the gripper is as open as the square is bright. Speeds vary slowly.

    pinhole: of the front camera, in name only. video: neither states nor actions are recorded.
    """
    rng = np.random.default_rng(seed)
    spec = read_hand("parallel_gripper")
    images = {
        "observation.images.front": camera(SIZE, SIZE, pinhole),
        "observation.images.wrist": camera(SIZE, SIZE),
    }
    columns = {
        "observation.state": vector((*EE_NAMES, *spec.actuated)),
        "action": vector((*DELTAS, *spec.actuated)),
    }
    if video:
        columns = {}
    with DatasetWriter(path, Schema(FPS, {**images, **columns})) as writer:
        for _ in range(episodes):
            phase = rng.uniform(0.0, 2.0 * np.pi, (2, 1)) + 0.4 * np.arange(FRAMES)
            place = 12.0 + 8.0 * np.sin(phase)
            moved = np.diff(12.0 + 8.0 * np.sin(np.append(phase, phase[:, -1:] + 0.4, 1)))
            openings = np.clip(0.5 + 0.5 * np.sin(phase[0]), 0.0, 1.0)
            for row, column, move, opening in zip(*place, moved.T, openings, strict=True):
                pixels = np.full((SIZE, SIZE, 3), 20, np.uint8)
                top, left = round(row), round(column)
                pixels[top : top + 6, left : left + 6] = 120 + round(120 * opening)
                joints = spec.lower + opening * (np.asarray(spec.upper) - spec.lower)
                delta = [PIXEL_M * move[1], -PIXEL_M * move[0], 0.0, 0.0, 0.0, 0.0]
                ee = [0.3 + PIXEL_M * column, 0.1 - PIXEL_M * row, 0.2, np.pi, 0.0, 0.0]
                frame = {
                    "observation.state": np.array([*ee, *joints], np.float32),
                    "action": np.array([*delta, *joints], np.float32),
                }
                told = {name: frame[name] for name in columns}
                writer.add_frame({**told, **dict.fromkeys(images, pixels)})
            writer.save_episode(task="follow the square")
    return path
