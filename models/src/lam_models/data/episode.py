"""One episode, encoded frame by frame, ready to be appended to a dataset.

Encoding needs no dataset, so workers of a process pool can each encode episodes and hand the result
to the one writer, which only copies packets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Shaped

from lam_models.command import UserError, unknown
from lam_models.data.lerobot_layout import Feature, Schema
from lam_models.data.statistics import PixelHistogram
from lam_models.data.video import VideoEncoder, codec_named


@dataclass(frozen=True)
class EncodedEpisode:
    """A finished episode: small enough to be sent between processes.

    columns: (frames, size) arrays of every feature that is not a camera.
    videos: an mp4 file a camera.
    pixels: sampled pixel values a camera, for statistics.
    """

    task: str
    length: int
    columns: Mapping[str, Shaped[np.ndarray, "frames size"]]
    videos: Mapping[str, bytes]
    pixels: Mapping[str, PixelHistogram]


class EpisodeEncoder:
    """Takes the frames of one episode as they come; images are encoded at once and not kept."""

    def __init__(self, schema: Schema, codec: str = "h264") -> None:
        self._schema = schema
        chosen = codec_named(codec)
        self._videos = {
            key: VideoEncoder(schema.fps, feature.shape[0], feature.shape[1], chosen)
            for key, feature in schema.features.items()
            if feature.dtype == "video"
        }
        self._pixels = {key: PixelHistogram() for key in schema.cameras}
        self._columns: dict[str, list[np.ndarray]] = {key: [] for key in schema.columns}
        self.length = 0

    def add_frame(self, frame: Mapping[str, Any]) -> None:
        """Append one frame: a value for each feature of the schema, no more and no fewer.

        Numbers may be wider than the feature's dtype (float64 for float32), not of another kind.
        """
        for key in frame:
            if key not in self._schema.features:
                raise unknown("feature", key, self._schema.features)
        checked = {
            key: _checked(key, feature, frame, self.length)
            for key, feature in self._schema.features.items()
        }
        for key, value in checked.items():
            if key in self._videos:
                self._videos[key].add(value)
                self._pixels[key].add(value)
            else:
                self._columns[key].append(value)
        self.length += 1

    def finish(self, task: str) -> EncodedEpisode:
        """The episode, named by its instruction. The encoder cannot be used after this."""
        if self.length == 0:
            raise UserError("an episode without frames cannot be saved")
        return EncodedEpisode(
            task=task,
            length=self.length,
            columns={key: np.stack(values) for key, values in self._columns.items()},
            videos={key: encoder.finish() for key, encoder in self._videos.items()},
            pixels=self._pixels,
        )


def _checked(key: str, feature: Feature, frame: Mapping, index: int) -> np.ndarray:
    if key not in frame:
        raise UserError(f"frame {index}: feature '{key}' is missing")
    value = np.asarray(frame[key])
    if feature.shape == (1,) and value.shape == ():
        value = value.reshape(1)
    if value.shape != feature.shape:
        raise UserError(
            f"frame {index}: feature '{key}' has shape {value.shape}, not {feature.shape}"
        )
    wanted = np.dtype("uint8" if feature.dtype == "video" else feature.dtype)
    if not np.can_cast(value.dtype, wanted, casting="same_kind"):
        raise UserError(f"frame {index}: feature '{key}' is {value.dtype}, not {wanted}")
    value = value.astype(wanted)
    if wanted.kind == "f" and not np.isfinite(value).all():
        raise UserError(f"frame {index}: feature '{key}' is not finite: {value}")
    return value
