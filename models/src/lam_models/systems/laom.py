"""LAOM: continuous latent actions that a distracting background does not fill.

Nikulin et al., "Latent Action Learning Requires Supervision in the Presence of Distractors", ICML
2025, https://arxiv.org/abs/2502.00379. LAPO's latent holds whatever moves. Four changes leave more
room for the action: the inverse model reads frames up to `max_offset` steps apart while the forward
model still predicts the very next one; the latent is wide and not quantised; the prediction is of
features, those of a slowly following copy of the encoder; and every frame is seen in a random view
of its own. The claim: these make the latent several times better where others move too, and what
makes the difference there are labels of a few percent of the actions, read linearly off the latent.

Features predicted by features can all become one and the same: watch `feature_std`, the standard
deviation of a target's entry over the batch. It cannot exceed 1, for the features of each frame are
standardised, and goes to 0 in a collapse.

Departures. Single frames instead of stacks of three. The authors weigh un-normalised actions, ours
arrive standardised; the paper's weight stands in `Config()`, `small()` has one for such labels.
Labels are read off the latents of the same batch, where it has any, and not of a second one. Of a
frame's eight kinds of views (shift, rotation, perspective, each or not) the tilts are projective
and of our strength.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from math import pi
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from lam_models.nn.augment import by_chance, perspectives, rotations, shifts, warp
from lam_models.nn.conv import ConvEncoder, strided
from lam_models.nn.fingerprint import weights_hash
from lam_models.nn.heads import DenseSkipMLP, orthogonal_init
from lam_models.systems.roles import ClipBatch, Encoded, adjacent
from lam_models.types import LatentSpec


@dataclass(frozen=True)
class Config:
    """The paper's numbers; the count of steps and gap_s are ours.

    channels: of the encoder's stages, each of which halves the side.
    head_width: of the inverse and the forward model's blocks.
    max_offset: steps from the present frame to the farthest one that the inverse model may read.
    shift, rotation_rad, perspective: greatest strengths of a view (nn/augment.py).
    target_rate: share of the way to the encoder that its copy goes at each step.
    action_weight: of the squared error of labelled actions.
    gap_s: time between the frames of a clip.
    """

    image_size: int = 64
    channels: tuple[int, ...] = (96, 192, 192)
    residual_blocks: int = 2
    latent_dim: int = 8192
    head_width: int = 1024
    max_offset: int = 10
    shift: float = 14 / 64
    rotation_rad: float = pi / 2
    perspective: float = 0.3
    target_rate: float = 1e-3
    action_dim: int = 6
    action_weight: float = 1e-3
    gap_s: float = 0.1
    learning_rate: float = 1e-4
    batch_size: int = 512
    steps: int = 100_000
    warmup_steps: int = 30_000
    final_rate: float = 0.0

    history: ClassVar[int] = 0

    @property
    def frames(self) -> int:
        """The present one and all that the inverse model may read."""
        return self.max_offset + 1

    @classmethod
    def tiny(cls) -> Config:
        return cls(
            image_size=16,
            channels=(8, 8),
            residual_blocks=1,
            latent_dim=16,
            head_width=32,
            max_offset=2,
            shift=0.03,
            rotation_rad=0.05,
            perspective=0.02,
            target_rate=1e-2,
            action_weight=0.1,
            learning_rate=1e-3,
            batch_size=16,
            steps=200,
            warmup_steps=10,
        )

    @classmethod
    def small(cls) -> Config:
        """Weak views: a gripper moves few pixels in a step, and two frames' views are two draws.

        A fourth halving, as features of 8 x 8 places learn much slower here. The labels' weight is
        that of 0, 0.01, 0.1 and 1 which read best where a few episodes are labelled: with more, the
        latents fit these alone.
        """
        return replace(
            cls.tiny(),
            image_size=64,
            channels=(16, 32, 32, 32),
            latent_dim=64,
            head_width=128,
            max_offset=3,
            action_weight=0.01,
            gap_s=0.25,
            steps=3_000,
            warmup_steps=100,
        )


class Laom(nn.Module):
    """The labeler of pairs of frames, and the forward model in the space of its features."""

    Config = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        self.encoder = make_encoder(c.image_size, c.channels, c.residual_blocks)
        features = feature_width(c.image_size, c.channels)
        self.inverse = DenseSkipMLP(2 * features, c.latent_dim, width=c.head_width)
        self.forward_model = DenseSkipMLP(
            c.latent_dim, features, width=c.head_width, first_width=features
        )
        self.action_head = nn.Linear(c.latent_dim, c.action_dim)
        self.apply(orthogonal_init)
        self.target = copy.deepcopy(self.encoder).requires_grad_(False)

    def loss(self, batch: ClipBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Squared error of the next frame's features, and of the labelled actions."""
        if self.training:
            self._follow()
        present, following, future = self._triples(batch.frames)
        features, later = self.encoder(torch.cat([present, future])).chunk(2)
        latents = self.inverse(torch.cat([features, later], dim=1))
        target = self.see(following)
        # The forward model may not shape the features it starts from.
        error = functional.mse_loss(self.forward_model(latents, features.detach()), target)
        action = latents.new_zeros(())
        if batch.actions is not None:
            predicted = self.action_head(latents)
            action = action_error(predicted, batch.actions[:, 0], batch.labelled)
        logged = {
            "prediction": error.detach(),
            "action": action.detach(),
            "feature_std": target.std(0, correction=0).mean(),
            "latent_std": latents.detach().std(0, correction=0).mean(),
        }
        return error + self.config.action_weight * action, logged

    @torch.no_grad()
    def encode(self, clips: ClipBatch) -> Encoded:
        """One token for each adjacent pair of frames."""
        present, following = adjacent(self._features_of(clips.frames))
        latents = self.inverse(torch.cat([present, following], dim=1))
        return Encoded(latents[:, None].unflatten(0, (len(clips.frames), -1)))

    @torch.no_grad()
    def see(self, frames: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch features"]:
        """A frame as the forward model predicts it: the features of the encoder's slow copy."""
        return self.target(frames)

    def decode(
        self,
        values: Float[Tensor, "batch 1 dim"],
        state: Float[Tensor, "batch time 3 height width"],
    ) -> Float[Tensor, "batch features"]:
        """The features of the frame that follows the last of `state`."""
        return self.forward_model(values[:, 0], self.encoder(state[:, -1]))

    def spec(self) -> LatentSpec:
        parts = ("encoder.", "inverse.")
        encoder = {k: v for k, v in self.state_dict().items() if k.startswith(parts)}
        c, hashed = self.config, weights_hash(encoder)
        shape = (1, c.latent_dim)
        return LatentSpec("laom", "motion", shape, gap_s=c.gap_s, weights_hash=hashed)

    def _features_of(
        self, clips: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch time features"]:
        return self.encoder(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])

    def _triples(
        self, clips: Float[Tensor, "batch time 3 height width"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The first frame, the one after it and, in training, a later one, each in a view of its
        own; in evaluation the next frame takes that one's place, and all are seen as they are."""
        c, rows = self.config, len(clips)
        if not self.training:
            return clips[:, 0], clips[:, 1], clips[:, 1]
        farthest = min(c.max_offset, clips.shape[1] - 1)
        offsets = torch.randint(1, farthest + 1, (rows,), device=clips.device)
        future = clips[torch.arange(rows, device=clips.device), offsets]
        frames = torch.cat([clips[:, 0], clips[:, 1], future])
        views = (
            by_chance(shifts(3 * rows, c.shift, clips.device)),
            by_chance(rotations(3 * rows, c.rotation_rad, clips.device)),
            by_chance(perspectives(3 * rows, c.perspective, clips.device)),
        )
        present, following, future = warp(frames, *views).chunk(3)
        return present, following, future

    @torch.no_grad()
    def _follow(self) -> None:
        """Take the encoder's copy one step nearer to it."""
        for slow, fast in zip(self.target.parameters(), self.encoder.parameters(), strict=True):
            slow.lerp_(fast, self.config.target_rate)


def make_encoder(image_size: int, channels: tuple[int, ...], residual_blocks: int) -> nn.Sequential:
    """Frames to their features: a vector each, of mean 0 and variance 1."""
    return nn.Sequential(
        ConvEncoder(
            3, channels, halve=strided, residual_blocks=residual_blocks, activation=nn.ReLU6
        ),
        nn.Flatten(),
        nn.LayerNorm(feature_width(image_size, channels), elementwise_affine=False),
    )


def feature_width(image_size: int, channels: tuple[int, ...]) -> int:
    """Entries of the vector that `make_encoder` makes of a frame."""
    return channels[-1] * (-(-image_size // 2 ** len(channels))) ** 2


def action_error(
    predicted: Float[Tensor, "batch action"],
    actions: Float[Tensor, "batch action"],
    labelled: Bool[Tensor, " batch"] | None = None,
) -> Float[Tensor, ""]:
    """Mean squared error over the labelled rows, all where it is None; 0 without any."""
    error = (predicted - actions).square().mean(1)
    counts = torch.ones_like(error) if labelled is None else labelled.to(error.dtype)
    return (error * counts).sum() / counts.sum().clamp(min=1.0)
