"""Small pictures of a video at chosen frames, and what the file says of itself.

Only what is asked for is turned into pictures: colours and size are converted in one step, to
32 x 32 pixels whatever the camera's shape, and stretches between key frames that nobody asks for
are not even decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Interpolation, VideoReformatter
from jaxtyping import Float64, UInt8

from lam_models.command import UserError
from lam_models.data.video import check_whole

SIDE_PX = 32
Thumbnails = UInt8[np.ndarray, "samples 32 32 3"]


class ThumbnailReader:
    """One video file. Raises UserError for a file that is missing, cut off or no video."""

    def __init__(self, path: Path, fps: int) -> None:
        check_whole(path)
        self.path = path
        try:
            self._container = av.open(str(path))
        except FFmpegError as error:
            raise UserError(f"{path} is not a whole video: {error.strerror}") from error
        if not self._container.streams.video:
            raise UserError(f"{path} holds no video")
        self._stream = self._container.streams.video[0]
        context = self._stream.codec_context
        context.thread_count = 1
        context.options = {"err_detect": "explode"}  # Otherwise damage is painted over.
        self._resize = VideoReformatter()
        self._fps = fps
        self._tick_s = tick_s = Fraction(self._stream.time_base or 1)
        self._first_tick = self._stream.start_time or 0
        entries = sorted((e.timestamp, e.is_keyframe) for e in self._stream.index_entries)
        ticks = np.array([tick for tick, _ in entries], dtype=np.float64)
        self.times_s: Float64[np.ndarray, " frames"] = (ticks - self._first_tick) * float(tick_s)
        is_key = np.array([key for _, key in entries], dtype=bool)
        self._keys = np.rint(self.times_s[is_key] * fps).astype(np.int64)
        self._frames: Any = iter(())
        self._next = len(entries)

    @property
    def frame_count(self) -> int:
        return len(self.times_s)

    @property
    def rate(self) -> float:
        """Frames a second by the time stamps in the file, 0 where there are too few."""
        if len(self.times_s) < 2:
            return 0.0
        return float(1.0 / np.median(np.diff(self.times_s)))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._stream.height, self._stream.width

    def read(self, indices: Sequence[int]) -> Thumbnails:
        """The frames of these indices, which ascend. Raises UserError where one is damaged."""
        out = np.empty((len(indices), SIDE_PX, SIDE_PX, 3), np.uint8)
        for position, index in enumerate(indices):
            try:
                out[position] = self._picture(index)
            except (FFmpegError, StopIteration) as error:
                self._next = self.frame_count  # The decoder has lost its place.
                raise UserError(f"{self.path} cannot be decoded at frame {index}") from error
        return out

    def close(self) -> None:
        self._container.close()

    def _picture(self, index: int) -> UInt8[np.ndarray, "32 32 3"]:
        before = np.searchsorted(self._keys, index, side="right")
        key = int(self._keys[before - 1]) if before else 0
        if not (key <= self._next <= index):
            tick = self._first_tick + round(index / self._fps / self._tick_s)
            self._container.seek(tick, stream=self._stream)
            self._frames = self._container.decode(self._stream)
        while True:
            frame = next(self._frames)
            found = self._index_of(frame.pts or 0)
            self._next = found + 1
            if found >= index:
                return self._small(frame)

    def _small(self, frame: av.VideoFrame) -> UInt8[np.ndarray, "32 32 3"]:
        # One thread: waking others costs more than so small a picture.
        small = self._resize.reformat(
            frame, SIDE_PX, SIDE_PX, "rgb24", interpolation=Interpolation.AREA, threads=1
        )
        return small.to_ndarray()

    def _index_of(self, tick: int) -> int:
        return round((tick - self._first_tick) * self._tick_s * self._fps)
