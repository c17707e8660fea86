"""Inverse dynamics for policies: from two views of a scene to the actions between them.

Papers: Baker et al. 2022, VPT (arXiv 2206.11795): a network that may look ahead learns of a few
labels what was done between frames, and labels much video by it. Du et al. 2023, UniPi
(2302.00111): the same network reads actions from a video that was imagined.

Departures. VPT's network sees a long window; this one sees two moments `gap_steps` apart, by every
camera, and says the actions of all steps between. Whoever labels a video slides it along, so that a
step is told of by every window around it. The hand is a latent of the shared space. It also tells
where the end effector is at the first moment, so that video teaches places, too (places.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from lam_models.checkpoint import Checkpoint
from lam_models.nn.conv import ConvEncoder, strided
from lam_models.policy.inputs import POSE_FEATURES
from lam_models.policy.readouts import DELTA, Chunk, Loss, Units, errors
from lam_models.policy.regression import way
from lam_models.strict_json import from_json

Moments = UInt8[Tensor, "batch cameras 2 height width 3"]
# Of the end effector, as inputs.pose_features.
Poses = Float[Tensor, "batch 9"]

_POSITION = 3
_LEAST_DEVIATION_M = 1e-3


@dataclass(frozen=True)
class Config:
    """The defaults are `small`.

    image_size: pixels of a side, of every camera.
    channels: of the encoder of each camera, whose stages halve the side.
    gap_steps: between the two moments; as many actions are told. dt_s: of a step.
    shift: greatest in training, as a share of the side, of both moments and all cameras alike.
    poses: whether poses are told, which takes labels that have them.
    """

    cameras: tuple[str, ...] = ("front", "wrist")
    image_size: int = 96
    channels: tuple[int, ...] = (16, 32, 32, 32)
    residual_blocks: int = 1
    width: int = 256
    gap_steps: int = 3
    dt_s: float = 0.05
    latent_dim: int = 16
    shift: float = 0.04
    poses: bool = True
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    warmup_steps: int = 50
    final_rate: float = 0.02
    ema_decay: float = 0.99
    batch_size: int = 64
    steps: int = 1500

    @classmethod
    def small(cls) -> Config:
        return cls()

    @classmethod
    def tiny(cls) -> Config:
        """For tests and first looks."""
        return cls(
            image_size=32,
            channels=(8, 16, 16),
            width=64,
            shift=0.0,
            warmup_steps=10,
            ema_decay=0.0,
            batch_size=16,
            steps=200,
        )


@dataclass(frozen=True)
class Pairs:
    """What the network learns from: two moments, the steps between, and the pose at the first."""

    pixels: Moments
    chunk: Chunk
    poses: Poses | None = None


@dataclass(frozen=True)
class Told:
    """Of two moments: the steps between, and the pose at the first, None if it was not learnt."""

    chunk: Chunk
    poses: Poses | None


class PoseUnits(nn.Module):
    """Between poses and the numbers that the network works with: positions are standardised.

    The statistics are buffers: they are saved with the weights.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(_POSITION))
        self.register_buffer("deviation", torch.ones(_POSITION))

    def standardise(self, mean: Float[Tensor, "3"], deviation: Float[Tensor, "3"]) -> None:
        """Set the statistics of the positions, m."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.clamp_min(_LEAST_DEVIATION_M))

    def enter(self, poses: Poses) -> Poses:
        position = (poses[:, :_POSITION] - self.mean) / self.deviation
        return torch.cat([position, poses[:, _POSITION:]], dim=1)

    def leave(self, numbers: Poses) -> Poses:
        """The columns come back as those of a rotation."""
        position = numbers[:, :_POSITION] * self.deviation + self.mean
        first, second = numbers[:, _POSITION:].chunk(2, dim=1)
        first = functional.normalize(first, dim=1)
        second = second - (first * second).sum(1, keepdim=True) * first
        return torch.cat([position, first, functional.normalize(second, dim=1)], dim=1)


class Inverse(nn.Module):
    """Two moments to a chunk of `gap_steps` actions (readouts.Chunk), and to a pose."""

    Config = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        self.units = Units(c.latent_dim)
        self.encoders = nn.ModuleList(
            ConvEncoder(6, c.channels, halve=strided, residual_blocks=c.residual_blocks)
            for _ in c.cameras
        )
        side = c.image_size
        for _ in c.channels:
            side = (side + 1) // 2
        seen = len(c.cameras) * c.channels[-1] * side**2
        self.head = _layers(seen, c.width, c.gap_steps * (DELTA + c.latent_dim))
        if c.poses:
            self.pose_units = PoseUnits()
            self.pose_head = _layers(seen + 2, c.width, POSE_FEATURES)

    def loss(self, batch: Pairs) -> Loss:
        """Mean absolute error in the networks' units, the mean of five that count alike.

        Of steps, of the way they make, of hands; where poses are told, of positions and of turns.
        """
        pixels, moved = batch.pixels, batch.pixels.new_zeros(2, dtype=torch.float32)
        if self.training and self.config.shift > 0.0:
            pixels, moved = _shifted(pixels, max(1, round(self.config.shift * pixels.shape[3])))
        features = self._see(pixels)
        found, target = self._numbers(features), self.units.enter(batch.chunk)
        steps, wanted = found[..., :DELTA], target[..., :DELTA]
        pairs = [
            (steps, wanted),
            (way(steps), way(wanted)),
            (found[..., DELTA:], target[..., DELTA:]),
        ]
        logged = errors(found, target)
        if self.config.poses and batch.poses is not None:
            poses, known = self._pose(features, moved), self.pose_units.enter(batch.poses)
            pairs += [(x, y) for x, y in zip(_parted(poses), _parted(known), strict=True)]
            missed_m = ((poses - known)[:, :_POSITION] * self.pose_units.deviation).norm(dim=1)
            logged["position_mm"] = 1000.0 * missed_m.detach().mean()
        return torch.stack([functional.l1_loss(x, y) for x, y in pairs]).mean(), logged

    @torch.inference_mode()
    def infer(self, pixels: Moments) -> Told:
        """The actions of the steps from the first moment to the second, and where they begin."""
        features, poses = self._see(pixels), None
        if self.config.poses:
            poses = self.pose_units.leave(self._pose(features, features.new_zeros(2)))
        return Told(self.units.leave(self._numbers(features)), poses)

    def _see(self, pixels: Moments) -> Float[Tensor, "batch features"]:
        first, second = (pixels.float() / 255.0 - 0.5).movedim(-1, 3).unbind(2)
        # The change beside the moment itself: a small motion is a small difference.
        seen = torch.cat([first, 4.0 * (second - first)], dim=2)
        features = [
            encoder(view.contiguous(memory_format=torch.channels_last)).relu().flatten(1)
            for encoder, view in zip(self.encoders, seen.unbind(1), strict=True)
        ]
        return torch.cat(features, dim=1)

    def _numbers(self, features: Float[Tensor, "batch features"]) -> Chunk:
        return self.head(features).unflatten(-1, (self.config.gap_steps, -1))

    def _pose(self, features: Float[Tensor, "batch features"], moved: Float[Tensor, "2"]) -> Poses:
        """moved: how far the pictures are shifted, which places in them must be told."""
        return self.pose_head(torch.cat([features, moved.expand(len(features), 2)], dim=1)).float()

    @classmethod
    def open(cls, checkpoint: Checkpoint, device: str) -> Inverse:
        """From a folder."""
        with torch.random.fork_rng(devices=[]):
            model = cls(from_json(Config, checkpoint.config, "config.json"))
        own = model.state_dict()
        checkpoint.check_shapes({name: tuple(value.shape) for name, value in own.items()})
        weights = {k: torch.from_numpy(np.array(v)) for k, v in checkpoint.tensors.items()}
        model.load_state_dict(weights)
        return model.to(device).eval()


def _layers(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width),
        nn.LayerNorm(width),
        nn.GELU(),
        nn.Linear(width, width),
        nn.GELU(),
        nn.Linear(width, outputs),
    )


def _parted(poses: Poses) -> tuple[Tensor, Tensor]:
    return poses[:, :_POSITION], poses[:, _POSITION:]


def _shifted(pixels: Moments, most: int) -> tuple[Moments, Float[Tensor, "2"]]:
    """All alike by up to `most` pixels along both axes; what comes in repeats the border.

    Also how far, as a share of the most.
    """
    offsets = torch.randint(-most, most + 1, (2,), device=pixels.device)
    rows, columns = (
        (torch.arange(size, device=pixels.device) + offset).clamp(0, size - 1)
        for size, offset in zip(pixels.shape[3:5], offsets, strict=True)
    )
    return pixels[:, :, :, rows][:, :, :, :, columns], offsets / most
