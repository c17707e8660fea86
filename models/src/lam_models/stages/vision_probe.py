"""What vision features say about positions, read linearly on episodes nothing was trained on."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from lam_models.command import UserError
from lam_models.data.lerobot_read import Dataset
from lam_models.nn.patches import patchify
from lam_models.sense.pixels import fit
from lam_models.stages.probes import fit_probe, nmse

Features = Callable[[Float[Tensor, "batch 3 h w"]], Float[Tensor, "batch tokens width"]]

# One episode in this many is kept from training.
_HELD_OUT = 5
# Frames of either kind that a reading looks at.
_TO_FIT, _TO_TEST = 1200, 500
_RIDGES = tuple(10.0**exponent for exponent in range(-6, 2))
_THING = re.compile(r"((?:target|other_\d+))\.x_m")


@dataclass(frozen=True)
class Scenes:
    """Images with what is known of them.

    positions: in m by what they are of; NaN where there is none.
    held_out: the frame is of an episode that nothing trains on.
    """

    images: UInt8[np.ndarray, "frames height width 3"]
    episodes: Int64[np.ndarray, " frames"]
    held_out: Bool[np.ndarray, " frames"]
    positions: Mapping[str, Float[np.ndarray, "frames axes"]]
    content_hash: str


def read_scenes(path: Path, camera: str | None, size: int) -> Scenes:
    """All frames of a camera, the dataset's first unless named, and what positions it knows."""
    dataset = Dataset.open(path)
    if not dataset.cameras:
        raise UserError(f"{path} has no camera")
    name = dataset.cameras[0] if camera is None else camera
    images = []
    for episode in dataset.episodes:
        for image in dataset.frames(episode.index, name):
            images.append(fit(image, size, size))
    lengths = [episode.length for episode in dataset.episodes]
    episodes = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
    held_out = episodes % _HELD_OUT == _HELD_OUT - 1
    return Scenes(np.stack(images), episodes, held_out, positions_of(dataset), dataset.content_hash)


def positions_of(dataset: Dataset) -> dict[str, Float[np.ndarray, "frames axes"]]:
    """The end effector's x, y, z, and the mean x, y of the objects that are on the table."""
    found: dict[str, np.ndarray] = {}
    columns = {key: dataset.schema.features[key].names or () for key in dataset.schema.columns}
    for key, names in columns.items():
        if "ee.x_m" in names:
            first = names.index("ee.x_m")
            found["end effector"] = dataset.column(key)[:, first : first + 3].astype(np.float32)
        starts = [names.index(n) for n in names if _THING.fullmatch(n)]
        if starts and key != "action":
            things = np.stack([dataset.column(key)[:, s : s + 3] for s in starts], axis=1)
            # What takes no part in an episode lies under the floor.
            there = things[..., 2:] > -0.5
            with np.errstate(invalid="ignore"):
                mean = (things[..., :2] * there).sum(1) / there.sum(1)
            found["objects"] = mean.astype(np.float32)
    return found


@torch.no_grad()
def read_positions(features: Features, scenes: Scenes, seed: int = 0) -> dict[str, float]:
    """NMSE, by what is read, of ridge regression on the features of an image.

    Once on those of all patches, once ("pooled") on their means over the quarters of the image, an
    input short enough that few frames suffice. Fit on the episodes trained on, tested on the
    others; the ridge is chosen on a quarter of the former. Nothing where no position is known.
    """
    if not scenes.positions:
        return {}
    known = np.all([np.isfinite(v).all(1) for v in scenes.positions.values()], axis=0)
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(known))
    rows = drawn[~scenes.held_out[drawn]][:_TO_FIT]
    others = drawn[scenes.held_out[drawn]][:_TO_TEST]
    if len(rows) < 2 or len(others) < 2:
        return {}
    whole = [grid_features(features, scenes.images[i]) for i in (rows, others)]
    inputs = {
        "": in_span(*(grid.flatten(1) for grid in whole)),
        " pooled": tuple(functional.adaptive_avg_pool2d(grid, 2).flatten(1) for grid in whole),
    }
    inner = torch.from_numpy(scenes.episodes[rows] % 4 == 1)
    errors = {}
    for what, values in scenes.positions.items():
        y, y_test = (torch.from_numpy(values[i]) for i in (rows, others))
        for how, (x, x_test) in inputs.items():
            probe = fit_probe(x, y, best_ridge(x, y, inner))
            errors[what + how] = nmse(probe(x_test), y_test)
    return errors


def best_ridge(
    x: Float[Tensor, "n input"], y: Float[Tensor, "n target"], inner: Bool[Tensor, " n"]
) -> float:
    """The one with the least error at the rows `inner` when fit on the others."""
    if not inner.any() or inner.all():
        return 1e-2

    def error(ridge: float) -> float:
        return nmse(fit_probe(x[~inner], y[~inner], ridge)(x[inner]), y[inner])

    return min(_RIDGES, key=error)


def in_span(
    fitted: Float[Tensor, "n input"], others: Float[Tensor, "m input"]
) -> tuple[Float[Tensor, "n rank"], Float[Tensor, "m rank"]]:
    """Both in orthogonal axes of the span of `fitted`: ridge regression there is the same.

    The axes have the scale of the data, so that n x n replaces input x input.
    """
    mean = fitted.double().mean(0)
    x, x_other = fitted.double() - mean, others.double() - mean
    squares, axes = torch.linalg.eigh(x @ x.T)
    kept = squares > 1e-12 * squares[-1]
    lengths = squares[kept].sqrt()
    return axes[:, kept] * lengths, x_other @ x.T @ (axes[:, kept] / lengths)


def grid_features(
    features: Features, images: UInt8[np.ndarray, "n height width 3"]
) -> Float[Tensor, "n channels rows columns"]:
    """Those of the patches of square images, where they lie."""
    tokens = torch.cat([features(as_floats(part)) for part in _batches(images)])
    return tokens.mT.unflatten(-1, (math.isqrt(tokens.shape[1]), -1))


def principal_pixels(
    images: Sequence[UInt8[np.ndarray, "n height width 3"]], patch: int, width: int
) -> Features:
    """Each patch's pixels by their first `width` principal components over the images."""
    some = np.concatenate([part[:: max(1, len(part) // 300)] for part in images])
    rows = patchify(as_floats(some), patch).flatten(0, -2)
    mean = rows.mean(0)
    _, axes = torch.linalg.eigh((rows - mean).T @ (rows - mean))
    basis = axes[:, -width:]

    def features(batch: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n tokens components"]:
        return (patchify(batch, patch).flatten(1, 2) - mean) @ basis

    return features


def as_floats(images: UInt8[np.ndarray, "n height width 3"]) -> Float[Tensor, "n 3 height width"]:
    """From bytes to 0..1, channels first."""
    return torch.from_numpy(images).movedim(-1, 1).float() / 255.0


def _batches(images: UInt8[np.ndarray, "n h w 3"]) -> list[UInt8[np.ndarray, "_ h w 3"]]:
    return [images[i : i + 128] for i in range(0, len(images), 128)]
