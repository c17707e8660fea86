"""Encode, join and decode video, frame for frame.

Default codec, measured on 200 frames of 128x128 simulated table-top video: frames a second of CPU
time of one core, the best of 15 runs; "random" seeks to a random frame and decodes it.

    codec                               encode  decode  random  KiB/frame  PSNR dB
    libx264 ultrafast crf 18 g 2          7400    8000    4900       2.96     37.3   <- default
    libx264 veryfast  crf 18 g 2          3100    4000    2100       2.40     36.8
    libsvtav1 preset 12 crf 20 g 2         960    3900    2100       2.89     36.6
    libsvtav1 preset 12 crf 30 g 2        1000    4200    2400       1.92     35.1   LeRobot's own

At equal size and quality H.264 at its fastest preset encodes seven times and decodes twice as fast
as AV1, and training waits for decoding. g = 2 (every other frame is a key frame) keeps random
access cheap; without B-frames packets lie in the order of display, so that files are joined by
shifting their time stamps.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8

from lam_models.command import UserError, unknown

# SVT-AV1 otherwise prints a page of settings for every file; 1 leaves its errors.
os.environ.setdefault("SVT_LOG", "1")

Image = UInt8[np.ndarray, "height width 3"]
Images = UInt8[np.ndarray, "time height width 3"]

# Reading this many frames on is cheaper than a seek, which decodes from the last key frame.
_READ_ON_FRAMES = 8


@dataclass(frozen=True)
class Codec:
    """An encoder of FFmpeg with its options. One thread: output must not depend on the machine."""

    encoder: str
    name: str
    options: Mapping[str, str]


CODECS: Mapping[str, Codec] = {
    "h264": Codec(
        "libx264", "h264", {"preset": "ultrafast", "crf": "18", "g": "2", "bf": "0", "threads": "1"}
    ),
    "av1": Codec(
        "libsvtav1", "av1", {"preset": "12", "crf": "30", "g": "2", "svtav1-params": "lp=1"}
    ),
}


def codec_named(name: str) -> Codec:
    """The codec of this name, available in this build of FFmpeg."""
    if name not in CODECS:
        raise unknown("video codec", name, CODECS)
    codec = CODECS[name]
    if codec.encoder not in av.codecs_available:
        raise UserError(f"this build of PyAV lacks the encoder {codec.encoder} of codec '{name}'")
    return codec


class VideoEncoder:
    """Encodes frames as they come into an mp4 held in memory."""

    def __init__(self, fps: int, height: int, width: int, codec: Codec) -> None:
        if height % 2 or width % 2:
            raise UserError(f"video needs an even height and width, not {height}x{width}")
        self._buffer = io.BytesIO()
        self._container = av.open(self._buffer, "w", format="mp4")
        stream = self._container.add_stream(codec.encoder, fps, options=dict(codec.options))
        self._stream = cast(VideoStream, stream)
        self._stream.height, self._stream.width = height, width
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, fps)
        self.frame_count = 0

    def add(self, image: Image) -> None:
        """Append one frame."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts = self.frame_count
        self._container.mux(self._stream.encode(frame))
        self.frame_count += 1

    def finish(self) -> bytes:
        """The whole file. The encoder cannot be used after this."""
        self._container.mux(self._stream.encode())
        self._container.close()
        return self._buffer.getvalue()


class VideoJoiner:
    """Appends mp4 files of one camera to one longer file without encoding again."""

    def __init__(self, path: Path, fps: int) -> None:
        self._fps = fps
        self._output = av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
        self._stream: Any = None
        self._extradata: bytes | None = None
        self._path = path
        self.frame_count = 0
        self.byte_count = 0

    def append(self, mp4: bytes) -> tuple[int, int]:
        """Append a file; first frame index and the one after the last, in the joined file."""
        start = self.frame_count
        source = av.open(io.BytesIO(mp4), "r")
        with source:
            stream = source.streams.video[0]
            self._accept(stream)
            tick_s = stream.time_base or Fraction(0)
            shift = int(start / (self._fps * tick_s))
            for packet in source.demux(stream):
                if packet.dts is None or packet.pts is None:  # The empty one that ends a stream.
                    continue
                packet.pts += shift
                packet.dts += shift
                packet.stream = self._stream
                self._output.mux(packet)
                self.frame_count += 1
        self.byte_count += len(mp4)
        return start, self.frame_count

    def _accept(self, stream: VideoStream) -> None:
        if self._stream is None:
            # Opaque: copied as is, where the decoder's name (libdav1d) is no encoder's.
            self._stream = self._output.add_stream_from_template(stream, opaque=True)
            self._stream.time_base = stream.time_base
            self._extradata = stream.codec_context.extradata
        elif stream.codec_context.extradata != self._extradata:
            raise UserError(
                f"{self._path}: cannot join videos of different size or encoder settings"
            )

    def close(self) -> None:
        self._output.close()


class VideoFile:
    """Frames of a constant-rate video by index; `fps` overrides the rate the file states.

    Reading forward decodes each frame once; a jump seeks to the key frame before the target. Not
    to be shared between threads or over a fork.
    """

    def __init__(self, path: Path, fps: int | None = None) -> None:
        self.path = path
        try:
            self._container = av.open(str(path))
        except FileNotFoundError as error:
            raise UserError(f"missing video {path}") from error
        except FFmpegError as error:
            raise UserError(f"{path} is not a whole video: {error.strerror}") from error
        if not self._container.streams.video:
            raise UserError(f"{path} holds no video")
        self._stream = self._container.streams.video[0]
        self._stream.codec_context.thread_count = 1
        self._to_rgb = VideoReformatter()  # Kept: building one a frame costs more than using it.
        rate, tick_s = fps or self._stream.average_rate, self._stream.time_base
        if not rate or not tick_s:
            raise UserError(f"{path} states no frame rate")
        self._rate, self._tick_s = Fraction(rate), Fraction(tick_s)
        self._first_tick = self._stream.start_time or 0
        self._frames: Iterator[av.VideoFrame] = iter(())
        # Periods of the rate until the last frame is over: of a varying rate, more than frames.
        self.frame_count = self.period_count = self._stream.frames
        if not self.frame_count:
            self.frame_count, self.period_count = self._count_packets()
        self._next = self.frame_count  # Nothing can be read on: the first read seeks.

    @property
    def fps(self) -> float:
        return float(self._rate)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._stream.height, self._stream.width

    def read(self, start: int, stop: int) -> Images:
        """Frames start, start + 1, ... stop - 1."""
        if not 0 <= start < stop <= self.frame_count:
            raise IndexError(f"{self.path}: frames {start}:{stop} of {self.frame_count}")
        height, width = self.size
        out = np.empty((stop - start, height, width, 3), np.uint8)
        if not 0 <= start - self._next < _READ_ON_FRAMES:
            self._seek(start)
        wanted = start
        for frame in self._frames:
            index = self._index_of(frame)
            self._next = index + 1
            if index < wanted:  # Between the key frame and the target.
                continue
            if index > wanted:
                raise UserError(f"{self.path} has no frame {wanted}; the next one is {index}")
            out[index - start] = self._to_rgb.reformat(frame, format="rgb24").to_ndarray()
            wanted += 1
            if wanted == stop:
                return out
        raise UserError(f"{self.path} ends before frame {wanted}: it is truncated")

    @property
    def stated_duration_s(self) -> float:
        """What the container says of its length, 0 where it says nothing."""
        return (self._container.duration or 0) / av.time_base

    def stream(self) -> Iterator[Image]:
        """Frames 0, 1, ... at the constant rate, each decoded once.

        Of a file whose rate varies, a frame lasts until the next one is shown.
        """
        self._seek(0)
        self._next = self.frame_count  # Nothing can be read on.
        shown = 0
        last: Image | None = None
        for frame in self._frames:
            index = self._index_of(frame)
            if last is not None and index > shown:
                yield from (last for _ in range(shown, index))
                shown = index
            last = self._to_rgb.reformat(frame, format="rgb24").to_ndarray()
        if last is not None:
            yield last

    def close(self) -> None:
        self._container.close()

    def _seek(self, index: int) -> None:
        tick = self._first_tick + round(index / self._rate / self._tick_s)
        self._container.seek(tick, stream=self._stream)
        self._frames = self._container.decode(self._stream)

    def _index_of(self, frame: av.VideoFrame) -> int:
        ticks = (frame.pts or 0) - self._first_tick
        return round(ticks * self._tick_s * self._rate)

    def _count_packets(self) -> tuple[int, int]:
        """Frames, and periods until the last of them is over."""
        packets = self._container.demux(self._stream)
        ticks = [packet.pts - self._first_tick for packet in packets if packet.pts is not None]
        self._container.seek(0)
        last = round(max(ticks, default=0) * self._tick_s * self._rate)
        return len(ticks), max(last + 1, len(ticks))


def check_whole(path: Path) -> None:
    """Refuse an mp4 whose boxes reach beyond its end, as one cut off in a copy does.

    The index may lie at the front, so that FFmpeg opens such a file without complaint.
    """
    if not path.is_file():
        raise UserError(f"missing video {path}")
    total = path.stat().st_size
    position, kinds = 0, set()
    with path.open("rb") as file:
        while position + 8 <= total:
            file.seek(position)
            header = file.read(16)
            size, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if size == 1:  # A 64-bit size follows.
                size = int.from_bytes(header[8:16], "big")
            kinds.add(kind)
            position += size if size >= 8 else total
    if position != total or not {b"moov", b"mdat"} <= kinds:
        raise UserError(f"{path} is truncated or not an mp4")
