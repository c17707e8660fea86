"""Small recordings whose pictures tell the instant they show: a number in bars, black and white."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from jaxtyping import Float64, UInt8

from lam_models.data.lerobot_layout import FileLimits, Schema, camera, vector
from lam_models.data.lerobot_write import DatasetWriter

FRONT, WRIST = "observation.images.front", "observation.images.wrist"
ACTION_NAMES = (*(f"delta_ee.{axis}" for axis in ("x", "y", "z", "rx", "ry", "rz")), "gripper")
_BARS = 8


def picture(number: int, height: int = 32, width: int = 32) -> UInt8[np.ndarray, "height width 3"]:
    """The number, below 256, in eight bars; bit 0 left."""
    bits = (number >> (np.arange(width) * _BARS // width)) & 1
    return np.broadcast_to((bits * 200 + 20)[None, :, None], (height, width, 3)).astype(np.uint8)


def numbers(images: UInt8[np.ndarray, "*shape height width 3"]) -> np.ndarray:
    """What the pictures say."""
    width = images.shape[-2]
    bars = images[..., images.shape[-3] // 2, width // 16 :: width // _BARS, 1] > 120
    return (bars * (1 << np.arange(_BARS))).sum(-1)


def actions_of(episode: int, length: int) -> Float64[np.ndarray, "length 7"]:
    return np.random.default_rng(episode).normal(0, 0.3, (length, len(ACTION_NAMES)))


def write_dataset(
    path: Path,
    lengths: Sequence[int] = (12, 9, 15),
    fps: int = 10,
    tasks: Sequence[str] = ("reach", "stack"),
    one_file: bool = True,
) -> Path:
    """Episode e shows 40 e, 40 e + 1, ...; its wrist camera is dark.

    one_file: False begins a new data file for each episode.
    """
    features: Mapping = {
        FRONT: camera(32, 32),
        WRIST: camera(16, 16),
        "observation.state": vector(("frame", "episode")),
        "action": vector(ACTION_NAMES),
    }
    limits = FileLimits() if one_file else FileLimits(data_mb=0)
    with DatasetWriter(path, Schema(fps, features), limits=limits) as writer:
        for episode, length in enumerate(lengths):
            actions = actions_of(episode, length)
            for i in range(length):
                writer.add_frame(
                    {
                        FRONT: picture(40 * episode + i),
                        WRIST: np.zeros((16, 16, 3), np.uint8),
                        "observation.state": np.array([i, episode]),
                        "action": actions[i],
                    }
                )
            writer.save_episode(tasks[episode % len(tasks)])
    return path


def write_video(
    path: Path,
    frames: int,
    rate: Fraction | int = 30,
    size: tuple[int, int] = (32, 32),
    ticks: Sequence[int] | None = None,
) -> Path:
    """A plain video showing 0, 1, ...; ticks: when each frame is shown, in periods of the rate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate, options={"crf": "10", "bf": "0"})
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = 1 / Fraction(rate)
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(i, *size), format="rgb24")
            frame.pts = i if ticks is None else ticks[i]
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
