"""Per-feature statistics in LeRobot's terms: min, max, mean, std, count and five quantiles.

Quantiles are exact, of the numbers themselves or (images) of a histogram of the 256 pixel values,
which adds up over episodes. Image statistics are of pixels / 255 with shape (3, 1, 1).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int64, Shaped, UInt8

Statistics = dict[str, np.ndarray]

_QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
# A video's statistics come from every n-th frame and pixel: they need no more.
_FRAME_STRIDE = 5
_LONGEST_SIDE_PX = 150


def column_statistics(values: Shaped[np.ndarray, "frames size"]) -> Statistics:
    """Statistics of each entry of a vector over frames."""
    numbers = values.astype(np.float64)
    spread = np.quantile(numbers, list(_QUANTILES.values()), axis=0)
    return {
        "min": numbers.min(axis=0),
        "max": numbers.max(axis=0),
        "mean": numbers.mean(axis=0),
        "std": numbers.std(axis=0),
        "count": np.array([len(numbers)]),
        **dict(zip(_QUANTILES, spread, strict=True)),
    }


class PixelHistogram:
    """Counts the pixel values of a sample of a video's frames, channel by channel."""

    def __init__(self) -> None:
        self.counts: Int64[np.ndarray, "3 256"] = np.zeros((3, 256), np.int64)
        self.frames = 0
        self._seen = 0

    def add(self, image: UInt8[np.ndarray, "height width 3"]) -> None:
        """Count one frame in, or skip it."""
        self._seen += 1
        if (self._seen - 1) % _FRAME_STRIDE:
            return
        stride = max(1, max(image.shape[:2]) // _LONGEST_SIDE_PX)
        sample = image[::stride, ::stride]
        for channel in range(3):
            self.counts[channel] += np.bincount(sample[..., channel].ravel(), minlength=256)
        self.frames += 1

    def merge(self, other: PixelHistogram) -> None:
        self.counts = self.counts + other.counts
        self.frames += other.frames

    def statistics(self) -> Statistics:
        """In [0, 1], shape (3, 1, 1); `count` is the number of frames sampled."""
        levels = np.arange(256) / 255.0
        weights = self.counts / self.counts.sum(axis=1, keepdims=True)
        mean = weights @ levels
        variance = np.maximum(weights @ levels**2 - mean**2, 0.0)
        reached = np.cumsum(weights, axis=1)
        present = self.counts > 0
        by_channel = {
            "min": levels[present.argmax(axis=1)],
            "max": levels[255 - present[:, ::-1].argmax(axis=1)],
            "mean": mean,
            "std": np.sqrt(variance),
        }
        for name, share in _QUANTILES.items():
            # Guard against a cumulated sum that rounding leaves just short of the share.
            by_channel[name] = levels[(reached >= share - 1e-12).argmax(axis=1)]
        out = {name: value.reshape(3, 1, 1) for name, value in by_channel.items()}
        return {**out, "count": np.array([self.frames])}


def to_json(statistics: Mapping[str, Statistics]) -> dict[str, dict[str, list]]:
    return {key: {n: v.tolist() for n, v in of.items()} for key, of in statistics.items()}


def from_json(content: Mapping[str, Mapping[str, list]]) -> dict[str, Statistics]:
    return {key: {n: np.asarray(v) for n, v in of.items()} for key, of in content.items()}
