"""What `lam view` shows of one episode of a dataset, gathered once for every way of showing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from lam_models.command import UserError
from lam_models.data.doctor.motion import position_columns
from lam_models.data.gap_actions import action_groups
from lam_models.data.latents import Latents
from lam_models.data.lerobot_layout import LATENTS
from lam_models.data.lerobot_read import Dataset

STATE, ACTION = "observation.state", "action"
_FRAMES_AT_ONCE = 32
# Parts of a period by which a stamp may be late before it is a gap.
_LATE = 1.5
_UNITS_S = {"_ns": 1e-9, "_ms": 1e-3, "_s": 1.0, "timestamp": 1.0}

Lines = Mapping[str, Float64[np.ndarray, " frames"]]


@dataclass(frozen=True)
class Gap:
    """Frames missing after frame `frame`, by the time stamps of `column`."""

    frame: int
    missing_s: float
    column: str


@dataclass(frozen=True)
class Shown:
    """panels: lines by name, by the panel's title. codes: motion codes, a row a token, -1 where the
    gap would end behind the episode.

    path_m: of the end effector in the base frame, None where the dataset does not say.
    """

    dataset: Dataset
    episode: int
    instruction: str
    panels: Mapping[str, Lines]
    path_m: Float64[np.ndarray, "steps 3"] | None = None
    codes: Int64[np.ndarray, "tokens steps"] | None = None
    gaps: tuple[Gap, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def length(self) -> int:
        return self.dataset.episodes[self.episode].length

    @property
    def name(self) -> str:
        return f"{self.dataset.path.name}-episode-{self.dataset.episodes[self.episode].index:03d}"

    def pictures(self, start: int) -> dict[str, UInt8[np.ndarray, "_ _ _ 3"]]:
        """Frames start, ... of every camera, some at once: a whole episode may not fit."""
        stop = min(start + _FRAMES_AT_ONCE, self.length)
        cameras = self.dataset.cameras
        return {name: self.dataset.frames(self.episode, name, start, stop) for name in cameras}


def gather(path: Path, number: int, space: str | None = None) -> Shown:
    """Episode `number` of the dataset at `path`.

    space: of the motion codes to show; None takes them where there is one space only.
    """
    dataset = Dataset.open(path)
    numbers = [episode.index for episode in dataset.episodes]
    if number not in numbers:
        raise UserError(f"{path} has no episode {number}; allowed: {numbers[0]} to {numbers[-1]}")
    position = numbers.index(number)
    episode = dataset.episodes[position]
    codes, codes_panel, notes = _motion(dataset, position, space)
    return Shown(
        dataset=dataset,
        episode=position,
        instruction=" / ".join(episode.tasks),
        panels=_panels(dataset, position) | codes_panel,
        path_m=_path(dataset, position),
        codes=codes,
        gaps=tuple(_gaps(dataset, position)),
        notes=notes,
    )


def _path(dataset: Dataset, episode: int) -> np.ndarray | None:
    names = _names(dataset, STATE)
    columns = position_columns(names)
    if not columns:
        return None
    return dataset.episode_column(episode, STATE)[:, list(columns)].astype(np.float64)


def _panels(dataset: Dataset, episode: int) -> dict[str, Lines]:
    """State and action by what their columns mean."""
    panels: dict[str, Lines] = {}
    if STATE in dataset.schema.columns:
        names = _names(dataset, STATE)
        where = position_columns(names)
        rest = tuple(i for i in range(len(names)) if i not in where)
        for title, columns in (("end effector [m]", where), ("other state", rest)):
            if columns:
                panels[title] = _lines(dataset, episode, STATE, columns)
    if ACTION in dataset.schema.columns:
        for word, columns in action_groups(_names(dataset, ACTION)).items():
            title = {"hand": "hand command or latent", "action": "action"}.get(
                word, f"action: {word}"
            )
            panels[title] = _lines(dataset, episode, ACTION, columns)
    return panels


def _lines(dataset: Dataset, episode: int, key: str, columns: tuple[int, ...]) -> Lines:
    rows, names = dataset.episode_column(episode, key).astype(np.float64), _names(dataset, key)
    return {names[column]: rows[:, column] for column in columns}


def _names(dataset: Dataset, key: str) -> tuple[str, ...]:
    feature = dataset.schema.columns.get(key)
    if feature is None:
        return ()
    return feature.names or tuple(f"{key}[{i}]" for i in range(feature.shape[0]))


def _motion(
    dataset: Dataset, episode: int, space: str | None
) -> tuple[np.ndarray | None, dict[str, Lines], tuple[str, ...]]:
    """Motion codes of the episode, or lines of a continuous latent, and what to know."""
    if space is None and not (dataset.path / LATENTS).is_dir():
        return None, {}, ()
    try:
        latents = Latents.open(dataset, space)
    except UserError as error:
        if space is not None:
            raise
        return None, {}, (f"motion latents are not shown: {error}",)
    rows = slice(dataset.episodes[episode].start, dataset.episodes[episode].stop)
    note = (f"motion latents: {latents.path.name}",)
    valid = latents.rows.valid[rows]
    if latents.rows.codes is not None:
        codes = np.where(valid[:, None], latents.rows.codes[rows].astype(np.int64), -1)
        return np.ascontiguousarray(codes.T), {}, note
    values = latents.rows.values[rows].reshape(len(valid), -1).astype(np.float64)
    values[~valid] = np.nan
    lines = {f"z[{i}]": values[:, i] for i in range(values.shape[1])}
    return None, {"motion latent": lines}, note


def _gaps(dataset: Dataset, episode: int) -> list[Gap]:
    found = []
    for key in ("timestamp", *dataset.schema.columns):
        word = key.rpartition(".")[2]
        unit_s = next((s for end, s in _UNITS_S.items() if word.endswith(end)), None)
        if "stamp" not in word or unit_s is None:
            continue
        steps_s = np.diff(dataset.episode_column(episode, key)[:, 0].astype(np.float64)) * unit_s
        for frame in np.flatnonzero(steps_s > _LATE / dataset.fps):
            missing_s = float(steps_s[frame]) - 1 / dataset.fps
            found.append(Gap(int(frame), missing_s, key))
    return found
