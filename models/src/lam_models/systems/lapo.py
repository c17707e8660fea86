"""LAPO: discrete latent actions of videos, from what it takes to predict the next frame.

Schmidt & Jiang, "Learning to Act without Actions", ICLR 2024, https://arxiv.org/abs/2312.10812.
An IMPALA network reads three frames, before, present and next; its output is quantised, codebooks
moving by averages; a U-Net predicts the next frame from the first two and the latent. So narrow a
latent holds what the past does not tell, which in a deterministic world is the action. The claim:
a policy of these latents, cloned from video alone, becomes expert after little online training.

Departures. Dead codes are revived as nn/vq.py says, and each code's average starts as one
observation of itself. The U-Net's sizes are freer, as nn/unet.py says. A step at the beginning of
a clip has no frame before the present one, which takes its place there; training leaves such steps
out. The authors predict from the codes and hand on what was quantised: here both are `Encoded`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lam_models.nn.conv import ConvEncoder
from lam_models.nn.fingerprint import weights_hash
from lam_models.nn.quantise import nearest_code
from lam_models.nn.unet import ConditionedUNet
from lam_models.nn.vq import EmaVQ
from lam_models.systems.roles import ClipBatch, Encoded
from lam_models.types import LatentSpec


@dataclass(frozen=True)
class Config:
    """The paper's numbers; gap_s is ours, for games that know frames and no seconds.

    image_size: pixels of a side, a multiple of 2 ** (unet_stages + 1).
    channels: of the encoder's stages, each of which halves the side.
    features: of the hidden layer between encoder and latent.
    codebooks, tokens_each: every codebook serves as many tokens, so a latent has their product.
    codes_bound: codes start uniform within it, on both sides of 0.
    gap_s: time between the frames of a clip.
    """

    image_size: int = 64
    channels: tuple[int, ...] = (64, 128, 128)
    residual_blocks: int = 2
    features: int = 256
    codebooks: int = 2
    tokens_each: int = 4
    code_dim: int = 16
    codebook_size: int = 64
    commitment: float = 0.05
    codebook_decay: float = 0.999
    codes_bound: float = 5 / 64
    unet_base: int = 24
    unet_stages: int = 5
    gap_s: float = 0.1
    learning_rate: float = 3e-4
    gradient_clip: float = 2.0
    batch_size: int = 128
    steps: int = 50_000
    warmup_steps: int = 50
    final_rate: float = 0.01

    frames: ClassVar[int] = 3
    history: ClassVar[int] = 1

    @property
    def tokens(self) -> int:
        """Codes of a step."""
        return self.codebooks * self.tokens_each

    @classmethod
    def tiny(cls) -> Config:
        return cls(
            image_size=16,
            channels=(4, 8),
            residual_blocks=1,
            features=32,
            tokens_each=2,
            code_dim=8,
            codebook_size=16,
            codebook_decay=0.99,
            unet_base=4,
            unet_stages=2,
            learning_rate=1e-3,
            batch_size=16,
            steps=200,
            warmup_steps=10,
        )

    @classmethod
    def small(cls) -> Config:
        return cls(
            channels=(8, 16, 32),
            residual_blocks=1,
            features=128,
            tokens_each=2,
            code_dim=4,
            codebook_size=32,
            codebook_decay=0.99,
            unet_base=8,
            unet_stages=4,
            gap_s=0.25,
            learning_rate=1e-3,
            batch_size=16,
            steps=3_000,
        )


class Lapo(nn.Module):
    """Inverse dynamics that label a step between two frames, and the world model they serve."""

    Config = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        side = -(-c.image_size // 2 ** len(c.channels))
        self.inverse = nn.Sequential(
            ConvEncoder(3 * 3, c.channels, residual_blocks=c.residual_blocks),
            nn.Flatten(),
            nn.ReLU(),
            nn.Linear(c.channels[-1] * side**2, c.features),
            nn.ReLU(),
            nn.Linear(c.features, c.tokens * c.code_dim),
        )
        self.codebooks = nn.ModuleList(
            EmaVQ(
                c.code_dim,
                c.codebook_size,
                commitment=c.commitment,
                decay=c.codebook_decay,
                init_bound=c.codes_bound,
            )
            for _ in range(c.codebooks)
        )
        self.world = ConditionedUNet(
            2 * 3, 3, c.tokens * c.code_dim, base=c.unet_base, stages=c.unet_stages
        )

    def loss(self, batch: ClipBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Squared error of the next frame, and what pulls the encoder to the codes."""
        frames = steps_of(batch.frames)[:, 1:].flatten(0, 1)
        quantised = [vq(share) for vq, share in self._shares(self.infer(frames))]
        values = torch.cat([part.values for part in quantised], dim=1)
        predicted = self.decode(values, frames[:, :2])
        error = functional.mse_loss(predicted, frames[:, 2])
        # What the present frame, left as it is, would score: a useful model is below.
        copy = functional.mse_loss(frames[:, 1], frames[:, 2])
        pull = torch.stack([part.loss for part in quantised]).mean()
        stats = {
            name: torch.stack([part.stats[name] for part in quantised]).mean()
            for name in quantised[0].stats
        }
        return error + pull, {"reconstruction": error.detach(), "copy": copy, **stats}

    def infer(
        self, frames: Float[Tensor, "steps 3 3 height width"]
    ) -> Float[Tensor, "steps tokens dim"]:
        """The latent of each step from the frames before, at and after it, before quantisation."""
        flat = self.inverse(stacked(frames))
        return flat.unflatten(1, (self.config.tokens, self.config.code_dim))

    @torch.no_grad()
    def encode(self, clips: ClipBatch) -> Encoded:
        """The codes of each adjacent pair of frames."""
        frames = steps_of(clips.frames)
        latents = self.infer(frames.flatten(0, 1))
        codes, values = [], []
        for vq, share in self._shares(latents):
            codes.append(nearest_code(share.flatten(0, 1), vq.codebook).view(share.shape[:2]))
            values.append(vq.decode(codes[-1]))
        found = (torch.cat(values, dim=1), torch.cat(codes, dim=1), latents)
        return Encoded(*(part.unflatten(0, frames.shape[:2]) for part in found))

    def decode(
        self,
        values: Float[Tensor, "batch tokens dim"],
        state: Float[Tensor, "batch time 3 height width"],
    ) -> Float[Tensor, "batch 3 height width"]:
        """The frame that follows the last of `state`, by that and the one before it."""
        past = state[:, -2:] if state.shape[1] > 1 else state.repeat(1, 2, 1, 1, 1)
        made = self.world(stacked(past), values.flatten(1))
        return made.tanh() / 2.0 + 0.5

    def spec(self) -> LatentSpec:
        encoder = {
            name: value
            for name, value in self.state_dict().items()
            if name.startswith("inverse.") or name.endswith(".codebook")
        }
        c, hashed = self.config, weights_hash(encoder)
        shape = (c.tokens, c.code_dim)
        return LatentSpec("lapo", "motion", shape, c.codebook_size, c.gap_s, hashed)

    def _shares(self, latents: Float[Tensor, "steps tokens dim"]) -> list[tuple[EmaVQ, Tensor]]:
        """Each codebook and the tokens it serves, in order."""
        shares = latents.chunk(len(self.codebooks), dim=1)
        return [(cast(EmaVQ, vq), x) for vq, x in zip(self.codebooks, shares, strict=True)]


def steps_of(
    clips: Float[Tensor, "batch time 3 height width"],
) -> Float[Tensor, "batch time-1 3 3 height width"]:
    """Each step's frames before, at and after it. Before the first frame is that frame itself."""
    before = torch.cat([clips[:, :1], clips[:, :-2]], dim=1)
    return torch.stack([before, clips[:, :-1], clips[:, 1:]], dim=2)


def stacked(
    frames: Float[Tensor, "batch time 3 height width"],
) -> Float[Tensor, "batch time*3 height width"]:
    """Frames as the networks read them: one image of many channels, from -0.5 to 0.5."""
    # Channels last, which the convolutions pass on: a third faster on a CPU.
    return (frames - 0.5).flatten(1, 2).contiguous(memory_format=torch.channels_last)
