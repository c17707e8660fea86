"""The LeRobotDataset v3.0 folder: which files it has, what info.json says, how columns are typed.

    meta/info.json  meta/stats.json  meta/tasks.parquet
    meta/episodes/chunk-000/file-000.parquet
    data/chunk-000/file-000.parquet                  many episodes a file
    videos/<camera key>/chunk-000/file-000.mp4       many episodes a file

Nothing here reads or writes; the writer and the reader share it so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Shaped

from lam_models.command import UserError, unknown
from lam_models.sense.pinhole import Pinhole
from lam_models.strict_json import from_json, to_json

CODEBASE_VERSION = "v3.0"
# Folders of ours beside the data, which belong to it and are no part of it.
LATENTS, PSEUDO_ACTIONS = BESIDE = ("latents", "pseudo_actions")
INFO_PATH = "meta/info.json"
STATS_PATH = "meta/stats.json"
TASKS_PATH = "meta/tasks.parquet"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"

# Ours, among what LeRobot keeps of a camera.
_PINHOLE = "camera.pinhole"
_ARROW_TYPES = {
    "float32": pa.float32(),
    "float64": pa.float64(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "uint32": pa.uint32(),
    "bool": pa.bool_(),
}


@dataclass(frozen=True)
class Feature:
    """One named entry of a frame: a camera image (dtype "video") or a vector of numbers.

    names: one a vector entry, or ("height", "width", "channels") of a camera.
    pinhole: of the largest centred square of a camera that stands still, where it is known.
    """

    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] | None = None
    pinhole: Pinhole | None = None

    def __post_init__(self) -> None:
        if self.dtype != "video" and self.dtype not in _ARROW_TYPES:
            raise unknown("feature dtype", self.dtype, ["video", *_ARROW_TYPES])
        rank = 3 if self.dtype == "video" else 1
        if len(self.shape) != rank:
            raise UserError(f"a feature of dtype {self.dtype} has {rank} axes, not {self.shape}")
        if self.dtype != "video" and self.names and len(self.names) != self.shape[0]:
            raise UserError(f"{len(self.names)} names for a feature of shape {self.shape}")

    @property
    def arrow_type(self) -> pa.DataType:
        """Type of the parquet column: a scalar for shape (1,), else a list of fixed length."""
        element = _ARROW_TYPES[self.dtype]
        return element if self.shape == (1,) else pa.list_(element, self.shape[0])


def vector(names: tuple[str, ...], dtype: str = "float32") -> Feature:
    """A vector whose entries are named, e.g. "ee_x_m"."""
    return Feature(dtype, (len(names),), tuple(names))


def scalar(dtype: str = "float32") -> Feature:
    """One number a frame."""
    return Feature(dtype, (1,))


def camera(height: int, width: int, pinhole: Pinhole | None = None) -> Feature:
    """An RGB camera of this size, stored as video."""
    return Feature("video", (height, width, 3), ("height", "width", "channels"), pinhole)


# Written by the writer itself, never by its caller.
AUTOMATIC: Mapping[str, Feature] = {
    "timestamp": scalar("float32"),
    "frame_index": scalar("int64"),
    "episode_index": scalar("int64"),
    "index": scalar("int64"),
    "task_index": scalar("int64"),
}


@dataclass(frozen=True)
class Schema:
    """What every frame of a dataset holds, at `fps` frames a second.

    features: by key, e.g. "observation.images.front", "observation.state", "action".
    """

    fps: int
    features: Mapping[str, Feature]
    robot_type: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.fps, int) or self.fps <= 0:
            raise UserError(f"fps must be a positive whole number, not {self.fps!r}")
        for key in self.features:
            if "/" in key:
                raise UserError(f"feature name '{key}' has a '/', which LeRobot does not allow")
            if key in AUTOMATIC:
                raise UserError(f"feature name '{key}' is written automatically; rename yours")

    @property
    def cameras(self) -> tuple[str, ...]:
        """Keys of the features stored as video."""
        return tuple(key for key, feature in self.features.items() if feature.dtype == "video")

    @property
    def columns(self) -> Mapping[str, Feature]:
        """The caller's features that are stored as parquet columns."""
        return {key: f for key, f in self.features.items() if f.dtype != "video"}

    def arrow_schema(self) -> pa.Schema:
        """Columns of a data file, the automatic ones last."""
        columns = {**self.columns, **AUTOMATIC}
        return pa.schema([pa.field(key, feature.arrow_type) for key, feature in columns.items()])


@dataclass(frozen=True)
class FileLimits:
    """Where a file ends and the next begins."""

    data_mb: int = 100
    video_mb: int = 200
    files_per_chunk: int = 1000

    @property
    def data_bytes(self) -> int:
        return self.data_mb * 1024 * 1024

    @property
    def video_bytes(self) -> int:
        return self.video_mb * 1024 * 1024

    def chunk_and_file(self, ordinal: int) -> tuple[int, int]:
        """Chunk index and file index of the ordinal-th file."""
        return divmod(ordinal, self.files_per_chunk)


@dataclass(frozen=True)
class Totals:
    """Counts that info.json states and a reader checks."""

    episodes: int
    frames: int
    tasks: int


@dataclass(frozen=True)
class Info:
    """The content of meta/info.json."""

    schema: Schema
    totals: Totals
    limits: FileLimits = field(default_factory=FileLimits)
    data_path: str = DATA_PATH
    video_path: str | None = VIDEO_PATH
    video_codec: str = ""


def info_to_json(info: Info) -> dict[str, Any]:
    """info.json as LeRobot writes it, in its order of keys."""
    features = {**info.schema.features, **AUTOMATIC}
    return {
        "codebase_version": CODEBASE_VERSION,
        "robot_type": info.schema.robot_type,
        "total_episodes": info.totals.episodes,
        "total_frames": info.totals.frames,
        "total_tasks": info.totals.tasks,
        "chunks_size": info.limits.files_per_chunk,
        "data_files_size_in_mb": info.limits.data_mb,
        "video_files_size_in_mb": info.limits.video_mb,
        "fps": info.schema.fps,
        "splits": {"train": f"0:{info.totals.episodes}"},
        "data_path": info.data_path,
        "video_path": info.video_path if info.schema.cameras else None,
        "features": {key: _feature_to_json(f, info) for key, f in features.items()},
    }


def _feature_to_json(feature: Feature, info: Info) -> dict[str, Any]:
    out: dict[str, Any] = {
        "dtype": feature.dtype,
        "shape": list(feature.shape),
        "names": list(feature.names) if feature.names else None,
    }
    if feature.dtype == "video":
        out["info"] = {
            "video.height": feature.shape[0],
            "video.width": feature.shape[1],
            "video.codec": info.video_codec,
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": info.schema.fps,
            "video.channels": 3,
            "has_audio": False,
        }
        if feature.pinhole is not None:
            out["info"][_PINHOLE] = to_json(feature.pinhole)
    return out


def info_from_json(content: Mapping[str, Any], where: str) -> Info:
    """Parse info.json; `where` names the file in errors."""
    version = content.get("codebase_version")
    if version != CODEBASE_VERSION:
        raise UserError(
            f"{where}: codebase_version is {version}, but only {CODEBASE_VERSION} is read. Convert "
            "it with LeRobot: python -m lerobot.datasets.v30.convert_dataset_v21_to_v30 "
            "--repo-id=<dataset>"
        )
    try:
        features = {
            key: _feature_from_json(key, raw, where)
            for key, raw in content["features"].items()
            if key not in AUTOMATIC
        }
        return Info(
            schema=Schema(int(content["fps"]), features, content["robot_type"]),
            totals=Totals(
                content["total_episodes"], content["total_frames"], content["total_tasks"]
            ),
            data_path=content["data_path"],
            video_path=content["video_path"],
        )
    except KeyError as missing:
        raise UserError(f"{where}: the entry {missing} is missing") from missing


def _feature_from_json(key: str, raw: Mapping[str, Any], where: str) -> Feature:
    names = raw["names"]
    if isinstance(names, Mapping):  # Some datasets group names: {"motors": [...]}.
        names = [name for group in names.values() for name in group]
    try:
        known = (raw.get("info") or {}).get(_PINHOLE)
        pinhole = None if known is None else from_json(Pinhole, known, _PINHOLE)
        shape = tuple(raw["shape"])
        return Feature(raw["dtype"], shape, tuple(names) if names else None, pinhole)
    except UserError as error:
        raise UserError(f"{where}: feature '{key}': {error}") from error


def column_values(column: pa.ChunkedArray) -> Shaped[np.ndarray, "frames size"]:
    """A (frames, size) array of a scalar or list column."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # No rows at all, or an older pyarrow.
        array = pa.concat_arrays(array.chunks)
    if isinstance(array, pa.FixedSizeListArray | pa.ListArray):
        return array.flatten().to_numpy(zero_copy_only=False).reshape(len(array), -1)
    return array.to_numpy(zero_copy_only=False)[:, None]
