"""Decodes a source once, front to back, into the files of a cache.

Threads take stretches of video each: decoding, resizing and JPEG leave Python's lock. An episode
that turns out damaged on the way is left out by name; its place in the file of frames stays unused.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from av.error import FFmpegError
from jaxtyping import UInt8

from lam_models.command import UserError
from lam_models.data.progress import FramesProgress, frames_progress
from lam_models.data.sources import Skipped, Source, SourceEpisode
from lam_models.data.video import VideoFile
from lam_models.sense.pixels import fit

# Frames decoded at a time of a file of constant rate.
_BLOCK_BYTES = 16 << 20
# The fewest frames worth a thread's seek into a file.
_STRETCH_FRAMES = 500
# A rate that varies leaves the count of frames uncertain by this share; below it, it is truncated.
_WHOLE_SHARE = 0.95
_JPEG_QUALITY = 95
_BAR_FRAMES = 50

Image = UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class Built:
    """frames: rows of the file. spans: whole episodes in order, with their first row and last."""

    frames: int
    spans: tuple[tuple[SourceEpisode, tuple[int, int]], ...]
    skipped: tuple[Skipped, ...]


def build(folder: Path, source: Source, size: int, kind: str) -> Built:
    """Write the frames and columns of every whole episode, with a progress bar."""
    lengths = [episode.length for episode in source.episodes]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    frames = int(starts[-1])
    if not frames:
        return Built(0, (), ())
    sink = _Raw(folder, frames, size) if kind == "raw" else _Jpeg(folder, frames)
    title = f"{source.path.name}, {source.camera.rpartition('.')[2]} at {size}"
    stops: dict[int, int] = {}
    skipped: dict[int, Skipped] = {}
    with frames_progress(title, frames) as bar:
        job = _Job(source, starts, size, sink, bar, stops, skipped)
        _run(job, _stretches(source.episodes))
    sink.close()
    for key, values in source.columns.items():
        _write_column(folder / f"{key}.npy", values, source.episodes, starts)
    spans = tuple(
        (episode, (int(starts[i]), stops[i]))
        for i, episode in enumerate(source.episodes)
        if i in stops
    )
    return Built(frames, spans, tuple(skipped[i] for i in sorted(skipped)))


@dataclass(frozen=True)
class _Job:
    """What every stretch needs, and where it notes how each episode ended."""

    source: Source
    starts: np.ndarray
    size: int
    sink: _Raw | _Jpeg
    bar: FramesProgress
    stops: dict[int, int]
    skipped: dict[int, Skipped]
    cancelled: threading.Event = field(default_factory=threading.Event)

    def take(self, numbers: Sequence[int]) -> None:
        """Store episodes that lie one after another in one file."""
        video: VideoFile | None = None
        for number in numbers:
            episode, start = self.source.episodes[number], int(self.starts[number])
            try:
                video = video or self._open(episode)
                count = self._store(self._images(video, episode), start, episode.length)
                if count < (1.0 if self.source.constant_rate else _WHOLE_SHARE) * episode.length:
                    raise UserError(f"truncated: {count} of {episode.length} frames")
                self.stops[number] = start + count
            except (UserError, FFmpegError) as error:
                self.skipped[number] = Skipped(episode.name, str(error))
        if video is not None:
            video.close()

    def _open(self, episode: SourceEpisode) -> VideoFile:
        rate = round(episode.fps) if self.source.constant_rate else None
        return VideoFile(episode.video.path, rate)

    def _images(self, video: VideoFile, episode: SourceEpisode) -> Iterator[Image]:
        if not self.source.constant_rate:
            yield from video.stream()
            return
        height, width = video.size
        block = max(1, _BLOCK_BYTES // (height * width * 3))
        for start in range(episode.video.start, episode.video.stop, block):
            yield from video.read(start, min(start + block, episode.video.stop))

    def _store(self, images: Iterator[Image], start: int, most: int) -> int:
        count = 0
        for image in images:
            if count == most or self.cancelled.is_set():
                break
            self.sink.put(start + count, fit(image, self.size, self.size))
            count += 1
            if count % _BAR_FRAMES == 0:
                self.bar.advance(_BAR_FRAMES)
        self.bar.advance(count % _BAR_FRAMES)
        return count


def _run(job: _Job, stretches: list[list[int]]) -> None:
    with ThreadPoolExecutor(os.cpu_count() or 1, "decode") as pool:
        try:
            for future in as_completed([pool.submit(job.take, stretch) for stretch in stretches]):
                future.result()
        except BaseException:  # Ctrl-C too: the threads would otherwise decode on.
            job.cancelled.set()
            pool.shutdown(cancel_futures=True)
            raise


def _stretches(episodes: Sequence[SourceEpisode]) -> list[list[int]]:
    """Episodes that follow each other in a file, together while they are short."""
    out: list[list[int]] = []
    frames = 0
    for number, episode in enumerate(episodes):
        before = episodes[number - 1].video if number else None
        follows = before and (before.path, before.stop) == (
            episode.video.path,
            episode.video.start,
        )
        if not follows or frames >= _STRETCH_FRAMES:
            out.append([])
            frames = 0
        out[-1].append(number)
        frames += episode.length
    return out


def _write_column(
    path: Path, values: np.ndarray, episodes: Sequence[SourceEpisode], starts: np.ndarray
) -> None:
    rows = [np.arange(episode.row, episode.row + episode.length) for episode in episodes]
    assert sum(map(len, rows)) == starts[-1]
    np.save(path, values[np.concatenate(rows)])


class _Raw:
    """frames.npy; threads write to places of their own."""

    def __init__(self, folder: Path, frames: int, size: int) -> None:
        shape = (frames, size, size, 3)
        self._frames = np.lib.format.open_memmap(folder / "frames.npy", "w+", np.uint8, shape)

    def put(self, row: int, image: Image) -> None:
        self._frames[row] = image

    def close(self) -> None:
        self._frames.flush()


class _Jpeg:
    """frames.jpeg, in the order in which images come, and spans.npy, in the order of rows."""

    def __init__(self, folder: Path, frames: int) -> None:
        self._folder = folder
        self._file = (folder / "frames.jpeg").open("wb")
        self._spans = np.zeros((frames, 2), np.int64)
        self._end = 0
        self._lock = threading.Lock()

    def put(self, row: int, image: Image) -> None:
        quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        _, blob = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), quality)
        with self._lock:
            self._file.write(blob.tobytes())
            self._spans[row] = self._end, len(blob)
            self._end += len(blob)

    def close(self) -> None:
        self._file.close()
        np.save(self._folder / "spans.npy", self._spans)
