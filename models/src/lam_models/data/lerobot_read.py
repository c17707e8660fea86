"""Reads a LeRobotDataset v3.0 folder: numbers as arrays, images by episode and frame index.

Opening checks what can be checked without decoding: versions, counts, missing and truncated files.
Columns are read when first asked for; videos are decoded when read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Shaped, UInt8

from lam_models.command import UserError, unknown
from lam_models.data import lerobot_layout as layout
from lam_models.data.lerobot_layout import AUTOMATIC, Info, Schema
from lam_models.data.statistics import Statistics, from_json
from lam_models.data.video import VideoFile, check_whole

# Open decoders kept at a time; each holds a few MB.
_OPEN_VIDEOS = 16


@dataclass(frozen=True)
class VideoSpan:
    """Frames start, ... stop - 1 of a video file."""

    path: Path
    start: int
    stop: int


@dataclass(frozen=True)
class Episode:
    """Rows start, ... stop - 1 of the dataset's columns, and where they and the frames lie."""

    index: int
    tasks: tuple[str, ...]
    start: int
    stop: int
    data: Path
    videos: Mapping[str, VideoSpan]

    @property
    def length(self) -> int:
        return self.stop - self.start


class Dataset:
    """A dataset on disk. `Dataset.open(path)` checks it; may be sent to other processes."""

    def __init__(self, path: Path, info: Info, episodes: tuple[Episode, ...]) -> None:
        self.path = path
        self.info = info
        self.episodes = episodes
        self._columns: dict[str, np.ndarray] = {}
        self._videos: dict[Path, VideoFile] = {}
        self._process = os.getpid()

    @classmethod
    def open(cls, path: Path | str) -> Dataset:
        """The dataset at `path`. Raises UserError that names the file at fault."""
        root = Path(path)
        info_path = root / layout.INFO_PATH
        info = layout.info_from_json(read_json(info_path), str(info_path))
        episodes = read_episodes(root, info)
        dataset = cls(root, info, episodes)
        dataset._check()
        return dataset

    @property
    def schema(self) -> Schema:
        return self.info.schema

    @property
    def fps(self) -> int:
        return self.info.schema.fps

    @property
    def cameras(self) -> tuple[str, ...]:
        return self.info.schema.cameras

    @property
    def frame_count(self) -> int:
        return self.info.totals.frames

    @cached_property
    def statistics(self) -> Mapping[str, Statistics]:
        """Statistics of each feature over the whole dataset."""
        return from_json(read_json(self.path / layout.STATS_PATH))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over every number and, for speed, the sizes of the videos: names the data.

        What is written beside the data (layout.BESIDE) does not change it.
        """
        digest = hashlib.sha256()
        for path in sorted(file for file in self.path.rglob("*") if file.is_file()):
            if path.relative_to(self.path).parts[0] in layout.BESIDE:
                continue
            digest.update(str(path.relative_to(self.path)).encode())
            is_video = path.suffix == ".mp4"
            digest.update(str(path.stat().st_size).encode() if is_video else path.read_bytes())
        return digest.hexdigest()

    def column(self, key: str) -> Shaped[np.ndarray, "frames size"]:
        """One feature over all frames of the dataset, read once; a read-only view of the cache."""
        if key not in self._columns:
            known = {**self.schema.columns, **AUTOMATIC}
            if key not in known:
                raise unknown("column", key, known)
            parts = [read_column(file, key) for file in self._data_files]
            values = parts[0] if len(parts) == 1 else np.concatenate(parts)
            values.flags.writeable = False
            self._columns[key] = values
        return self._columns[key]

    def episode_column(self, episode: int, key: str) -> Shaped[np.ndarray, "frames size"]:
        """One feature over the frames of one episode."""
        rows = self.episodes[episode]
        return self.column(key)[rows.start : rows.stop]

    def frames(
        self, episode: int, camera: str, start: int = 0, stop: int | None = None
    ) -> UInt8[np.ndarray, "time height width 3"]:
        """Images start, ... stop - 1 (default: the last) of an episode of a camera."""
        rows = self.episodes[episode]
        if camera not in rows.videos:
            raise unknown("camera", camera, rows.videos)
        stop = rows.length if stop is None else stop
        if not 0 <= start < stop <= rows.length:
            raise IndexError(f"frames {start}:{stop} of episode {episode} of length {rows.length}")
        span = rows.videos[camera]
        return self._video(span.path).read(span.start + start, span.start + stop)

    def iterate(self, episode: int) -> Iterator[dict[str, Any]]:
        """The frames of an episode in order: every column's row and every camera's image."""
        rows = self.episodes[episode]
        for i in range(rows.length):
            frame: dict[str, Any] = {
                key: self.column(key)[rows.start + i] for key in self.schema.columns
            }
            for camera in self.cameras:
                frame[camera] = self.frames(episode, camera, i, i + 1)[0]
            yield frame

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_videos": {}}

    @cached_property
    def _data_files(self) -> list[Path]:
        return list(dict.fromkeys(episode.data for episode in self.episodes))

    def _video(self, path: Path) -> VideoFile:
        if self._process != os.getpid():  # A forked worker must not share the parent's decoders.
            self._videos, self._process = {}, os.getpid()
        if path in self._videos:
            self._videos[path] = self._videos.pop(path)  # Most recently used last.
        else:
            if len(self._videos) >= _OPEN_VIDEOS:
                self._videos.pop(next(iter(self._videos))).close()
            self._videos[path] = VideoFile(path, self.fps)
        return self._videos[path]

    def _check(self) -> None:
        totals = self.info.totals
        if len(self.episodes) != totals.episodes:
            raise UserError(
                f"{self.path}: info.json says {totals.episodes} episodes, "
                f"the episodes table has {len(self.episodes)}"
            )
        self._check_rows()
        for camera in self.cameras:
            spans = [_span_of(self.path, episode, camera) for episode in self.episodes]
            needed: dict[Path, int] = {}
            for span in spans:
                needed[span.path] = max(needed.get(span.path, 0), span.stop)
            for path, frames in needed.items():
                _check_video(path, frames)

    def _check_rows(self) -> None:
        position = 0
        for episode in self.episodes:
            if episode.start != position or episode.length <= 0:
                raise UserError(
                    f"{self.path}: episode {episode.index} has rows {episode.start}:"
                    f"{episode.stop}, but the one before it ends at {position}"
                )
            position = episode.stop
        rows = sum(_metadata(file).num_rows for file in self._data_files)
        for source, count in (("the episodes table", position), ("the data files", rows)):
            if count != self.frame_count:
                raise UserError(
                    f"{self.path}: info.json says {self.frame_count} frames, {source} {count}"
                )


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises UserError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"missing file {path}") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error


def read_episodes(root: Path, info: Info) -> tuple[Episode, ...]:
    """The episodes table as it stands, unchecked. Raises UserError where it cannot be read."""
    files = sorted((root / "meta/episodes").glob("*/*.parquet"))
    if not files:
        raise UserError(f"missing file {root / 'meta/episodes/chunk-000/file-000.parquet'}")
    rows = [row for file in files for row in _read_rows(file)]
    return tuple(_episode(root, info, row) for row in rows)


def _read_rows(path: Path) -> list[dict[str, Any]]:
    names = _metadata(path).schema.to_arrow_schema().names
    wanted = [name for name in names if not name.startswith("stats/")]
    return pq.read_table(path, columns=wanted).to_pylist()


def _episode(root: Path, info: Info, row: Mapping[str, Any]) -> Episode:
    try:
        videos = {camera: _span(root, info, camera, row) for camera in info.schema.cameras}
        return Episode(
            index=row["episode_index"],
            tasks=tuple(row["tasks"]),
            start=row["dataset_from_index"],
            stop=row["dataset_to_index"],
            data=root
            / info.data_path.format(
                chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
            ),
            videos=videos,
        )
    except KeyError as missing:
        raise UserError(f"{root}/meta/episodes: the column {missing} is missing") from missing


def _span(root: Path, info: Info, camera: str, row: Mapping[str, Any]) -> VideoSpan:
    prefix = f"videos/{camera}"
    if info.video_path is None:
        raise UserError(f"{root}: info.json has camera '{camera}' but no video_path")
    relative = info.video_path.format(
        video_key=camera,
        chunk_index=row[f"{prefix}/chunk_index"],
        file_index=row[f"{prefix}/file_index"],
    )
    start = round(row[f"{prefix}/from_timestamp"] * info.schema.fps)
    stop = round(row[f"{prefix}/to_timestamp"] * info.schema.fps)
    return VideoSpan(root / relative, start, stop)


def _span_of(root: Path, episode: Episode, camera: str) -> VideoSpan:
    span = episode.videos[camera]
    if span.stop - span.start != episode.length:
        raise UserError(
            f"{root}: episode {episode.index} has {episode.length} rows "
            f"but {span.stop - span.start} frames of camera '{camera}'"
        )
    return span


def _check_video(path: Path, frames: int) -> None:
    check_whole(path)
    video = VideoFile(path)
    count = video.frame_count
    video.close()
    if count < frames:
        raise UserError(f"{path} has {count} frames, the episodes table needs {frames}")


def _metadata(path: Path) -> pq.FileMetaData:
    try:
        return pq.read_metadata(path)
    except FileNotFoundError as error:
        raise UserError(f"missing file {path}") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} is not a whole parquet file: {error}") from error


def read_column(path: Path, key: str) -> Shaped[np.ndarray, "rows size"]:
    """A column of one data file. Raises UserError for a damaged file or a missing column."""
    if key not in _metadata(path).schema.to_arrow_schema().names:
        raise UserError(f"{path}: the column '{key}' is missing")
    return layout.column_values(pq.read_table(path, columns=[key])[key])
