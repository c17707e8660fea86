"""Where clips come from: a LeRobot dataset, or a folder of plain videos without labels.

Both become a `Source`: episodes, each a stretch of one video file at a rate of its own. Files that
cannot be used are left out, by name and with the reason, unless `strict` refuses them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from rich.console import Console

from lam_models.command import UserError, unknown
from lam_models.data.lerobot_layout import INFO_PATH
from lam_models.data.lerobot_read import Dataset, VideoSpan
from lam_models.data.video import VideoFile, check_whole
from lam_models.data.video_folder import video_paths

# The columns that clips may carry.
ACTION, STATE = "action", "observation.state"
ENVIRONMENT = "observation.environment_state"
COLUMNS = (ACTION, STATE, ENVIRONMENT)

# Where a video folder has no name for its one camera.
VIDEO_CAMERA = "video"
# Without two frames there is nothing between them.
_FEWEST_FRAMES = 2
# A container's stated duration may be off by a few frames; a truncated file's is off by more.
_DURATION_SHARE = 0.95
# Their boxes tell a truncated file without decoding it.
_BOXED = {".mp4", ".mov"}


@dataclass(frozen=True)
class SourceEpisode:
    """One episode: frames of a video file at `fps`, and rows of the source's columns.

    index: its number in the source. row: its first row.
    """

    index: int
    name: str
    fps: float
    instruction: str
    video: VideoSpan
    row: int

    @property
    def length(self) -> int:
        return self.video.stop - self.video.start


@dataclass(frozen=True)
class Skipped:
    """An episode or file that is not used, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Source:
    """All that is known before a frame is decoded.

    columns: float32 rows of COLUMNS, where the source has them; names: of their entries.
    constant_rate: frames lie exactly 1 / fps apart, as a LeRobot dataset's do.
    notes: what the user should know, in words.
    """

    path: Path
    camera: str
    content_hash: str
    episodes: tuple[SourceEpisode, ...]
    constant_rate: bool
    columns: Mapping[str, Float32[np.ndarray, "rows size"]] = field(default_factory=dict)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Identity:
    """A source by name, known without opening a video of it. dataset: None for plain videos."""

    path: Path
    camera: str
    content_hash: str
    dataset: Dataset | None = None


def identify(path: Path | str, camera: str | None = None) -> Identity:
    """What lies at `path`.

    camera: key of a LeRobot dataset's camera, or its last word ("front"); None takes the first.
        The camera of plain videos is called this (None: "video").
    A damaged LeRobot dataset is refused by name.
    """
    path = Path(path)
    if not path.is_dir():
        raise UserError(f"no dataset and no folder of videos at {path}")
    if (path / INFO_PATH).is_file():
        dataset = Dataset.open(path)
        return Identity(path, camera_named(camera, dataset.cameras), dataset.content_hash, dataset)
    return Identity(path, camera or VIDEO_CAMERA, _files_hash(path, video_paths(path)))


def open_source(identity: Identity) -> Source:
    """Its episodes; damaged and empty ones are among the `skipped`."""
    return _video_source(identity) if identity.dataset is None else _dataset_source(identity)


def camera_named(name: str | None, cameras: Sequence[str]) -> str:
    """The camera's key, where `name` is one or its last word; None is the first camera."""
    if not cameras:
        raise UserError("the dataset has no camera")
    if name is None:
        return cameras[0]
    for key in cameras:
        if name in (key, key.rpartition(".")[2]):
            return key
    raise unknown("camera", name, cameras)


def refuse(skipped: Sequence[Skipped], where: Path) -> None:
    """Raise UserError if anything had to be left out."""
    if skipped:
        listing = "; ".join(f"{one.name}: {one.reason}" for one in skipped[:5])
        more = f"; and {len(skipped) - 5} more" if len(skipped) > 5 else ""
        raise UserError(f"{where}: {len(skipped)} cannot be used: {listing}{more}")


def report_left_out(where: Path, skipped: Sequence[Skipped], total: int) -> None:
    """Say on standard error what is left out of `total` episodes."""
    if skipped:
        console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        console.print(f"{where}: {len(skipped)} of {total} episodes left out:")
        for one in skipped:
            console.print(f"  {one.name}: {one.reason}")


def _dataset_source(identity: Identity) -> Source:
    dataset = identity.dataset
    assert dataset is not None
    episodes, skipped = [], []
    for one in dataset.episodes:
        name = f"episode {one.index}"
        if one.length < _FEWEST_FRAMES:
            skipped.append(Skipped(name, _too_short(one.length)))
            continue
        instruction = one.tasks[0] if one.tasks else ""
        span = one.videos[identity.camera]
        rate = float(dataset.fps)
        episodes.append(SourceEpisode(one.index, name, rate, instruction, span, one.start))
    present = [column for column in COLUMNS if column in dataset.schema.columns]
    return Source(
        path=identity.path,
        camera=identity.camera,
        content_hash=identity.content_hash,
        episodes=tuple(episodes),
        constant_rate=True,
        columns={column: dataset.column(column).astype(np.float32) for column in present},
        names={column: dataset.schema.columns[column].names or () for column in present},
        skipped=tuple(skipped),
    )


def _video_source(identity: Identity) -> Source:
    root = identity.path
    episodes, skipped = [], []
    sizes: Counter[str] = Counter()
    row = 0
    for index, path in enumerate(video_paths(root)):
        name = str(path.relative_to(root))
        try:
            length, fps, size = _examine(path)
        except UserError as error:
            skipped.append(Skipped(name, str(error)))
            continue
        sizes[size] += 1
        span = VideoSpan(path, 0, length)
        episodes.append(SourceEpisode(index, name, fps, "", span, row))
        row += length
    return Source(
        path=root,
        camera=identity.camera,
        content_hash=identity.content_hash,
        episodes=tuple(episodes),
        constant_rate=False,
        skipped=tuple(skipped),
        notes=_size_notes(sizes),
    )


def _examine(path: Path) -> tuple[int, float, str]:
    """Frames, frames a second and size of a plain video. Raises UserError for a damaged one."""
    boxed = path.suffix.lower() in _BOXED
    if boxed:
        check_whole(path)
    video = VideoFile(path)
    try:
        height, width = video.size
        if video.frame_count < _FEWEST_FRAMES:
            raise UserError(_too_short(video.frame_count))
        shown_s = video.period_count / video.fps
        if not boxed and shown_s < _DURATION_SHARE * video.stated_duration_s - 1 / video.fps:
            raise UserError(f"truncated: {shown_s:.3g} of {video.stated_duration_s:.3g} s")
        return video.period_count, video.fps, f"{width}x{height}"
    finally:
        video.close()


def _size_notes(sizes: Counter[str]) -> tuple[str, ...]:
    if len(sizes) < 2:
        return ()
    listing = ", ".join(f"{count} of {size}" for size, count in sizes.most_common(4))
    return (f"{len(sizes)} sizes of video ({listing}); all are cropped and resized to one",)


def _too_short(length: int) -> str:
    return "empty" if length == 0 else f"{length} frame is too short for a clip"


def _files_hash(root: Path, paths: Sequence[Path]) -> str:
    """Names, sizes and times of change: reading terabytes of video to name them takes too long."""
    digest = hashlib.sha256()
    for path in paths:
        stat = path.stat() if path.exists() else path.lstat()  # A link may point nowhere.
        digest.update(f"{path.relative_to(root)}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
