"""Inverse dynamics for policies: from two views of a scene to the actions between them.

Papers: Baker et al. 2022, VPT (arXiv 2206.11795): a network that may look ahead learns of a few
labels what was done between frames, and labels much video by it. Du et al. 2023, UniPi
(2302.00111): the same network reads actions from a video that was imagined.

Departures. VPT's network sees a long window; this one sees two moments `gap_steps` apart, by every
camera, and says the actions of all steps between. Whoever labels a video slides it along, so that a
step is told of by every window around it. The hand is a latent of the shared space. Beside the
actions it learns to read where the end effector is (pose_reader.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn
from torch.nn import functional

from lam_models.checkpoint import Checkpoint
from lam_models.nn.conv import ConvEncoder, strided
from lam_models.policy.pose_reader import PoseReader, Poses
from lam_models.policy.readouts import DELTA, Chunk, Loss, Units, errors
from lam_models.policy.regression import way
from lam_models.strict_json import from_json

Moments = UInt8[Tensor, "batch cameras 2 height width 3"]


@dataclass(frozen=True)
class Config:
    """The defaults are `small`.

    image_size: pixels of a side, of every camera.
    channels: of the encoder of each camera, whose stages halve the side.
    gap_steps: between the two moments; as many actions are told. dt_s: of a step.
    shift: greatest in training, as a share of the side, of both moments and all cameras alike.
    poses: whether poses are read, from the first camera, which takes labels that have them.
    pose_shift: as PoseReader's.
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
    pose_shift: float = 0.08
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
            pose_shift=0.0,
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


class Inverse(nn.Module):
    """Two moments to a chunk of `gap_steps` actions (readouts.Chunk).

    poses: reads poses, None where the config says so.
    """

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
        self.head = nn.Sequential(
            nn.Linear(len(c.cameras) * c.channels[-1] * side**2, c.width),
            nn.LayerNorm(c.width),
            nn.GELU(),
            nn.Linear(c.width, c.width),
            nn.GELU(),
            nn.Linear(c.width, c.gap_steps * (DELTA + c.latent_dim)),
        )
        sizes = (c.image_size, c.channels, c.residual_blocks, c.width)
        self.poses = PoseReader(*sizes, c.pose_shift) if c.poses else None

    def loss(self, batch: Pairs) -> Loss:
        """Mean absolute error in the networks' units: of steps, of the way they make, of hands.

        Where poses are known, theirs is added.
        """
        pixels = batch.pixels
        if self.training and self.config.shift > 0.0:
            pixels = _shifted(pixels, max(1, round(self.config.shift * pixels.shape[3])))
        found, target = self._numbers(pixels), self.units.enter(batch.chunk)
        steps, wanted = found[..., :DELTA], target[..., :DELTA]
        pairs = (
            (steps, wanted),
            (way(steps), way(wanted)),
            (found[..., DELTA:], target[..., DELTA:]),
        )
        loss = torch.stack([functional.l1_loss(x, y) for x, y in pairs]).mean()
        logged = errors(found, target)
        if self.poses is not None and batch.poses is not None:
            missed, logged["position_mm"] = self.poses.loss(batch.pixels[:, 0, 0], batch.poses)
            loss = loss + missed
        return loss, logged

    @torch.inference_mode()
    def infer(self, pixels: Moments) -> Chunk:
        """The actions of the steps from the first moment to the second."""
        return self.units.leave(self._numbers(pixels))

    def _numbers(self, pixels: Moments) -> Chunk:
        first, second = (pixels.float() / 255.0 - 0.5).movedim(-1, 3).unbind(2)
        # The change beside the moment itself: a small motion is a small difference.
        seen = torch.cat([first, 4.0 * (second - first)], dim=2)
        features = [
            encoder(view.contiguous(memory_format=torch.channels_last)).relu().flatten(1)
            for encoder, view in zip(self.encoders, seen.unbind(1), strict=True)
        ]
        return self.head(torch.cat(features, dim=1)).unflatten(-1, (self.config.gap_steps, -1))

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


def _shifted(pixels: Moments, most: int) -> Moments:
    """All alike by up to `most` pixels along both axes; what comes in repeats the border."""
    offsets = torch.randint(-most, most + 1, (2,), device=pixels.device)
    rows, columns = (
        (torch.arange(size, device=pixels.device) + offset).clamp(0, size - 1)
        for size, offset in zip(pixels.shape[3:5], offsets, strict=True)
    )
    return pixels[:, :, :, rows][:, :, :, :, columns]
