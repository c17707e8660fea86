"""Writes a LeRobotDataset v3.0 folder, one episode after another.

    with DatasetWriter(path, schema) as writer:
        for frame in episode: writer.add_frame(frame)
        writer.save_episode(task="pick the red cube")

or, with episodes encoded elsewhere, `writer.append(encoded_episode)`. Everything goes to
`<name>.partial` beside the target, which is renamed at the end: a folder under its own name is
whole. Equal episodes in equal order give byte-equal files.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lam_models.command import UserError
from lam_models.data import lerobot_layout as layout
from lam_models.data.episode import EncodedEpisode, EpisodeEncoder
from lam_models.data.lerobot_layout import FileLimits, Info, Schema, Totals
from lam_models.data.rolling import RollingParquet, RollingVideo
from lam_models.data.statistics import PixelHistogram, Statistics, column_statistics, to_json
from lam_models.data.video import codec_named


class DatasetWriter:
    """A dataset under construction. Use as a context manager: an exception leaves nothing."""

    def __init__(
        self,
        path: Path | str,
        schema: Schema,
        codec: str = "h264",
        limits: FileLimits | None = None,
    ) -> None:
        self._path = Path(path)
        self._schema = schema
        self._codec = codec_named(codec)
        self._codec_name = codec
        self._limits = limits or FileLimits()
        if self._path.exists():
            raise UserError(f"{self._path} exists already; choose another folder or remove it")
        self._partial = self._path.with_name(self._path.name + ".partial")
        self._lock = _claim(self._partial)
        self._data = RollingParquet(self._partial, self._limits)
        self._videos = {
            key: RollingVideo(self._partial, key, schema.fps, self._limits)
            for key in schema.cameras
        }
        self._pixels = {key: PixelHistogram() for key in schema.cameras}
        self._tasks: dict[str, int] = {}
        self._episodes: list[dict[str, Any]] = []
        self._frame_count = 0
        self._encoder: EpisodeEncoder | None = None
        self._finished = False

    def add_frame(self, frame: Mapping[str, Any]) -> None:
        """Append one frame to the episode at hand: a value for each feature of the schema."""
        if self._encoder is None:
            self._encoder = EpisodeEncoder(self._schema, self._codec_name)
        self._encoder.add_frame(frame)

    def save_episode(self, task: str) -> int:
        """Keep the episode at hand under its instruction; its index."""
        encoder, self._encoder = self._encoder, None
        if encoder is None:
            raise UserError("an episode without frames cannot be saved")
        return self.append(encoder.finish(task))

    def discard_episode(self) -> None:
        """Forget the frames added since the last episode."""
        self._encoder = None

    def append(self, episode: EncodedEpisode) -> int:
        """Append an episode encoded elsewhere with the same schema and codec; its index."""
        if {*episode.columns, *episode.videos} != {*self._schema.features}:
            raise UserError(
                f"the episode has features {sorted({*episode.columns, *episode.videos})}, "
                f"the dataset {sorted(self._schema.features)}"
            )
        index = len(self._episodes)
        task_index = self._tasks.setdefault(episode.task, len(self._tasks))
        columns = {**episode.columns, **self._automatic(episode, index, task_index)}
        row: dict[str, Any] = {
            "episode_index": index,
            "tasks": [episode.task],
            "length": episode.length,
        }
        # Videos first: only they can be refused, and frames that no row points to do no harm.
        for key, video in self._videos.items():
            row.update(video.append(episode.videos[key], episode.length))
        row["data/chunk_index"], row["data/file_index"] = self._data.write(
            _table(columns, self._schema)
        )
        row["dataset_from_index"] = self._frame_count
        row["dataset_to_index"] = self._frame_count + episode.length
        statistics = {key: column_statistics(values) for key, values in columns.items()}
        for key, pixels in episode.pixels.items():
            statistics[key] = pixels.statistics()
            self._pixels[key].merge(pixels)
        row.update(_flat(statistics))
        self._episodes.append(row)
        self._frame_count += episode.length
        return index

    def finalize(self) -> Path:
        """Close every file, write the metadata and give the folder its name."""
        if self._encoder is not None:
            raise UserError("the last episode is neither saved nor discarded")
        if not self._episodes:
            raise UserError(f"{self._path}: a dataset without episodes cannot be finalized")
        self._close_files()
        self._write_metadata()
        self._partial.rename(self._path)
        os.close(self._lock)
        self._finished = True
        return self._path

    def abort(self) -> None:
        """Remove what was written."""
        self._close_files()
        shutil.rmtree(self._partial)
        os.close(self._lock)
        self._finished = True

    def __enter__(self) -> DatasetWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._finished:
            return
        if kind is not None:
            self.abort()
            return
        try:
            self.finalize()
        except BaseException:
            self.abort()
            raise

    def _automatic(
        self, episode: EncodedEpisode, index: int, task_index: int
    ) -> dict[str, np.ndarray]:
        frames = np.arange(episode.length, dtype=np.int64)
        values = {
            "timestamp": (frames / self._schema.fps).astype(np.float32),
            "frame_index": frames,
            "episode_index": np.full_like(frames, index),
            "index": self._frame_count + frames,
            "task_index": np.full_like(frames, task_index),
        }
        return {key: value[:, None] for key, value in values.items()}

    def _close_files(self) -> None:
        self._data.close()
        for video in self._videos.values():
            video.close()

    def _write_metadata(self) -> None:
        meta = self._partial / "meta"
        meta.mkdir()
        totals = Totals(len(self._episodes), self._frame_count, len(self._tasks))
        info = Info(self._schema, totals, self._limits, video_codec=self._codec.name)
        _write_json(self._partial / layout.INFO_PATH, layout.info_to_json(info))
        _write_json(self._partial / layout.STATS_PATH, to_json(self._dataset_statistics()))
        pq.write_table(_tasks_table(self._tasks), self._partial / layout.TASKS_PATH)
        self._write_episodes()

    def _write_episodes(self) -> None:
        table = pa.Table.from_pylist(self._episodes)
        per_file = max(1, int(self._limits.data_bytes * table.num_rows / table.nbytes))
        for ordinal, start in enumerate(range(0, table.num_rows, per_file)):
            chunk_index, file_index = self._limits.chunk_and_file(ordinal)
            part = table.slice(start, per_file)
            for name, value in (("chunk_index", chunk_index), ("file_index", file_index)):
                column = pa.array([value] * part.num_rows, pa.int64())
                part = part.append_column(f"meta/episodes/{name}", column)
            path = self._partial / layout.EPISODES_PATH.format(
                chunk_index=chunk_index, file_index=file_index
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(part, path)

    def _dataset_statistics(self) -> dict[str, Statistics]:
        """Exact over the whole dataset: read back column by column to bound memory."""
        files = sorted(self._partial.glob("data/*/*.parquet"))
        statistics = {}
        for key in self._schema.arrow_schema().names:
            parts = [
                layout.column_values(pq.read_table(file, columns=[key])[key]) for file in files
            ]
            statistics[key] = column_statistics(np.concatenate(parts))
        for key, pixels in self._pixels.items():
            statistics[key] = pixels.statistics()
        return statistics


def _claim(partial: Path) -> int:
    """An empty `partial` folder that no other process writes; its lock."""
    if partial.exists():
        previous = os.open(partial, os.O_RDONLY)
        try:
            fcntl.flock(previous, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError(f"{partial} is being written by another process") from error
        finally:
            os.close(previous)
        shutil.rmtree(partial)  # Left by a run that was killed.
    partial.mkdir(parents=True)
    lock = os.open(partial, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _table(columns: Mapping[str, np.ndarray], schema: Schema) -> pa.Table:
    arrow = schema.arrow_schema()
    arrays = []
    for column in arrow:
        flat = pa.array(columns[column.name].reshape(-1))
        if isinstance(column.type, pa.FixedSizeListType):
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, type=column.type))
        else:
            arrays.append(flat)
    return pa.Table.from_arrays(arrays, schema=arrow)


def _tasks_table(tasks: Mapping[str, int]) -> pa.Table:
    """Task texts as the index of a pandas table, which is how LeRobot looks them up."""
    index = "__index_level_0__"
    table = pa.table({"task_index": pa.array(list(tasks.values()), pa.int64()), index: list(tasks)})
    described = [
        {"name": "task_index", "field_name": "task_index", "pandas_type": "int64"},
        {"name": None, "field_name": index, "pandas_type": "unicode"},
    ]
    numpy_types = ("int64", "object")
    columns = [
        {**column, "numpy_type": numpy_type, "metadata": None}
        for column, numpy_type in zip(described, numpy_types, strict=True)
    ]
    pandas = {"index_columns": [index], "column_indexes": [], "columns": columns}
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})


def _flat(statistics: Mapping[str, Statistics]) -> dict[str, Any]:
    return {
        f"stats/{key}/{name}": value.tolist()
        for key, of in statistics.items()
        for name, value in of.items()
    }


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")
