"""A dataset as the checks see it: read once, read-only, and tolerant of damage.

What cannot be read is missing here (None), with a finding that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped

from lam_models.command import UserError
from lam_models.data import lerobot_layout as layout
from lam_models.data.doctor.finding import Finding
from lam_models.data.doctor.thumbnails import Thumbnails
from lam_models.data.lerobot_layout import Feature, Info
from lam_models.data.lerobot_read import Episode

# Frames by size; nothing binds the lengths of two episodes.
Rows = Shaped[np.ndarray, "_ _"]
OnEpisodes = Callable[[int], None]


@dataclass(frozen=True)
class Look:
    """Small pictures of one camera in one episode, and the frames of the episode they show."""

    frames: Int64[np.ndarray, " samples"]
    pictures: Thumbnails


@dataclass(frozen=True)
class VideoFacts:
    """What a video file says of itself. episodes: that lie in it."""

    camera: str
    path: Path
    frames: int
    rate: float
    size: tuple[int, int]
    episodes: tuple[int, ...]


@dataclass(frozen=True)
class Patient:
    """columns: by key, episode by episode. looks: by camera, episode by episode.

    tasks: instruction by task_index, None where the table cannot be read. statistics: stats.json
    as it stands. damage: what was found while reading.
    """

    path: Path
    info: Info
    episodes: tuple[Episode, ...]
    columns: Mapping[str, tuple[Rows | None, ...]]
    looks: Mapping[str, tuple[Look | None, ...]]
    videos: tuple[VideoFacts, ...]
    tasks: Mapping[int, str] | None
    statistics: Mapping[str, Any]
    damage: tuple[Finding, ...] = field(default=())

    @property
    def fps(self) -> int:
        return self.info.schema.fps

    @property
    def cameras(self) -> tuple[str, ...]:
        return self.info.schema.cameras

    @property
    def features(self) -> Mapping[str, Feature]:
        """Those stored as columns, the automatic ones included."""
        return MappingProxyType({**self.info.schema.columns, **layout.AUTOMATIC})

    def names(self, key: str) -> tuple[str, ...]:
        """Names of a column's entries, made up of its key where the dataset has none."""
        feature = self.features[key]
        return feature.names or tuple(f"{key}[{i}]" for i in range(feature.shape[0]))

    def rows(self, episode: int, key: str) -> Rows | None:
        """A column over an episode (by position), None where it cannot be read."""
        return self.columns[key][episode] if key in self.columns else None

    def readable(self, key: str) -> list[tuple[int, Rows]]:
        """Position and rows of the episodes whose column can be read."""
        pairs = enumerate(self.columns.get(key, ()))
        return [(position, rows) for position, rows in pairs if rows is not None]


def span_s(patient: Patient, frames: int | float) -> str:
    """A number of frames in words, as seconds."""
    return f"{frames / patient.fps:.3g} s"


def fatal(path: Path, error: UserError) -> Finding:
    """The finding about a dataset that cannot even be begun."""
    return Finding(
        "unreadable dataset",
        f"{path}: {error}",
        "Copy or convert the dataset again; nothing else can be checked.",
    )
