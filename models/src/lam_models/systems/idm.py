"""Inverse dynamics from labels alone: what the few labelled actions give without any video.

The video pre-training of Baker et al. 2022 (VPT, https://arxiv.org/abs/2206.11795) begins with such
a model and labels the rest of the videos by it; Nikulin et al. 2025 (https://arxiv.org/abs/2502.00379)
hold latent-action models against it. The encoder and the inverse head are LAOM's, so that the two
differ in what they learn from and in nothing else; the "latent" of a step is the predicted action,
in standard deviations from its mean. There is no forward model, hence no decoder.

Departures. Of VPT's long non-causal context only the two frames of the step are read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lam_models.command import UserError
from lam_models.nn.fingerprint import weights_hash
from lam_models.nn.heads import DenseSkipMLP, orthogonal_init
from lam_models.systems.laom import action_error, feature_width, make_encoder
from lam_models.systems.roles import ClipBatch, Encoded, adjacent
from lam_models.types import LatentSpec


@dataclass(frozen=True)
class Config:
    """The numbers of LAOM's baseline; gap_s is ours.

    channels: of the encoder's stages, each of which halves the side.
    head_width: of the inverse model's blocks.
    gap_s: time between the frames of a pair.
    """

    image_size: int = 64
    channels: tuple[int, ...] = (192, 384, 384)
    residual_blocks: int = 2
    head_width: int = 1024
    action_dim: int = 6
    gap_s: float = 0.1
    learning_rate: float = 1e-4
    batch_size: int = 512
    steps: int = 10_000

    frames: ClassVar[int] = 2
    history: ClassVar[int] = 0

    @classmethod
    def tiny(cls) -> Config:
        return cls(
            image_size=16,
            channels=(8, 8),
            residual_blocks=1,
            head_width=32,
            learning_rate=1e-3,
            batch_size=16,
            steps=200,
        )

    @classmethod
    def small(cls) -> Config:
        return replace(
            cls.tiny(),
            image_size=64,
            channels=(16, 32, 32, 32),
            head_width=128,
            gap_s=0.25,
            learning_rate=3e-4,
            steps=3_000,
        )


class Idm(nn.Module):
    """The labeler of pairs of frames by the action that led from one to the other."""

    Config = Config
    needs_actions = True

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        self.encoder = make_encoder(c.image_size, c.channels, c.residual_blocks)
        features = feature_width(c.image_size, c.channels)
        self.inverse = DenseSkipMLP(2 * features, c.action_dim, width=c.head_width)
        self.apply(orthogonal_init)

    def loss(self, batch: ClipBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Squared error of the labelled actions. Raises UserError for a batch without actions."""
        if batch.actions is None:
            raise UserError("inverse dynamics learn from actions alone, and this batch has none")
        # Rows without labels cost nothing.
        rows = slice(None) if batch.labelled is None else batch.labelled
        predicted = self.infer(*adjacent(batch.frames[rows]))
        error = action_error(predicted, batch.actions[rows].flatten(0, 1))
        return error, {"action": error.detach()}

    def infer(
        self,
        present: Float[Tensor, "pairs 3 height width"],
        following: Float[Tensor, "pairs 3 height width"],
    ) -> Float[Tensor, "pairs action"]:
        """The action between each two frames."""
        features = self.encoder(torch.cat([present, following])).chunk(2)
        return self.inverse(torch.cat(features, dim=1))

    @torch.no_grad()
    def encode(self, clips: ClipBatch) -> Encoded:
        """The action of each adjacent pair of frames, as one token."""
        actions = self.infer(*adjacent(clips.frames))
        return Encoded(actions[:, None].unflatten(0, (len(clips.frames), -1)))

    def spec(self) -> LatentSpec:
        c, hashed = self.config, weights_hash(self.state_dict())
        shape = (1, c.action_dim)
        return LatentSpec("idm", "motion", shape, gap_s=c.gap_s, weights_hash=hashed)
