"""A toy world and systems of known illnesses for the tests of the health report.

A bright bar of one column each way lies on a dark square: its place is the state, its move the
action, so a shift of the picture is all there is to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lam_models.data.clips import Clips
from lam_models.stages.health.truth import Names
from lam_models.systems.roles import ClipBatch, Encoded
from lam_models.types import LatentSpec

SIDE = 16
NAMES = Names({"translation": (0, 1), "rotation": (2,)}, ("mover_0.x_m", "cube.x_m", "cube.rx_rad"))


def clips(
    seed: int, count: int = 240, episodes: int = 12, time: int = 3, reach: float = 1.0
) -> Clips:
    """Moves of up to 2 * reach pixels; the action is the move divided by `reach`.

    The distractor wanders on its own, the cube moves with the action, nothing ever turns.
    """
    rng = np.random.default_rng(seed)
    actions = rng.integers(-2, 3, (count, time - 1, 2)).astype(np.float32)
    places = rng.uniform(6, 10, (count, 1, 2))
    places = np.concatenate([places, places + reach * np.cumsum(actions, 1)], 1)
    wander = rng.normal(size=(count, time)).cumsum(1)
    cube = np.concatenate([np.zeros((count, 1)), np.cumsum(actions[..., 0], 1)], 1)
    grid = np.arange(SIDE)
    rows = np.exp(-0.5 * (grid - places[..., :1]) ** 2 / 1.5)
    columns = np.exp(-0.5 * (grid - places[..., 1:]) ** 2 / 1.5)
    image = (255 * rows[..., :, None] * columns[..., None, :]).astype(np.uint8)
    return Clips(
        frames=np.repeat(image[..., None], 3, -1),
        actions=np.concatenate([actions, np.zeros_like(actions[..., :1])], -1),
        states=places.astype(np.float32),
        environments=np.stack([wander, cube, 0 * cube], -1).astype(np.float32),
        episodes=np.repeat(np.arange(episodes) + 100 * seed, count // episodes).astype(np.int64),
        starts=np.arange(count, dtype=np.int64),
        instructions=(),
    )


def place(frames: Tensor) -> Tensor:
    """Centre of the light, row and column [pixels]."""
    light = frames.mean(-3) + 1e-6
    light = light / light.sum((-2, -1), keepdim=True)
    grid = torch.arange(SIDE, dtype=frames.dtype)
    return torch.stack([(light.sum(-1) * grid).sum(-1), (light.sum(-2) * grid).sum(-1)], -1)


@dataclass(frozen=True)
class Config:
    image_size: int = SIDE
    gap_s: float = 0.25
    frames: int = 2
    history: int = 0


class Oracle(nn.Module):
    """The latent is the move."""

    shape, codebook_size = (1, 2), 0

    def __init__(self) -> None:
        super().__init__()
        self.config = Config()

    def spec(self) -> LatentSpec:
        return LatentSpec(type(self).__name__, "motion", self.shape, self.codebook_size, 0.25)

    def latent(self, frames: Tensor) -> Tensor:
        return (place(frames[:, 1:]) - place(frames[:, :-1])).unsqueeze(2)

    def encode(self, clips: ClipBatch) -> Encoded:
        return Encoded(self.latent(clips.frames))

    def decode(self, values: Tensor, state: Tensor) -> Tensor:
        shift = -2 * values[:, 0].flip(-1) / SIDE
        moves = torch.cat([torch.eye(2).expand(len(shift), 2, 2), shift[..., None]], 2)
        grid = functional.affine_grid(moves, list(state[:, -1].shape), align_corners=False)
        return functional.grid_sample(state[:, -1], grid, align_corners=False)


class Constant(Oracle):
    """Always the same code: collapsed."""

    shape, codebook_size = (2, 1), 4

    def encode(self, clips: ClipBatch) -> Encoded:
        values = torch.ones(len(clips.frames), clips.frames.shape[1] - 1, 2, 1)
        return Encoded(values, values[..., 0].long(), 0.5 * values)

    def decode(self, values: Tensor, state: Tensor) -> Tensor:
        return state[:, -1]


class Compressor(Oracle):
    """The latent is the next image."""

    shape = (1, SIDE * SIDE)

    def latent(self, frames: Tensor) -> Tensor:
        return frames[:, 1:].mean(2).flatten(2).unsqueeze(2)

    def decode(self, values: Tensor, state: Tensor) -> Tensor:
        return values.view(-1, 1, SIDE, SIDE).expand_as(state[:, -1])


class Placed(Oracle):
    """Predicts where the light is instead of the picture."""

    def see(self, frames: Tensor) -> Tensor:
        return place(frames)

    def decode(self, values: Tensor, state: Tensor) -> Tensor:
        return place(state[:, -1]) + values[:, 0]


class Codes(Oracle):
    """The move, rounded: one code each way. Reads two frames before the present one."""

    shape, codebook_size = (2, 1), 5

    def __init__(self) -> None:
        super().__init__()
        self.config = Config(frames=4, history=2)

    def encode(self, clips: ClipBatch) -> Encoded:
        exact = self.latent(clips.frames).mT
        codes = (exact.round().clamp(-2, 2) + 2)[..., 0].long()
        return Encoded(codes[..., None] - 2.0, codes, exact)

    def decode(self, values: Tensor, state: Tensor) -> Tensor:
        return super().decode(values.mT, state)


def system(kind: type[Oracle]) -> Any:
    return kind().eval()
