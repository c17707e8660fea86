"""Farsighted-LAM: latent actions that also say what several later frames look like.

Cai et al., "Seeing Space and Motion: Enhancing Latent Actions with Spatial and Dynamic Awareness",
2025, https://arxiv.org/abs/2509.26251 (the latent actions of SSM-VLA). Latents of pairs of frames
see neither geometry nor where a motion leads. Here the encoder reads the frozen DINOv2 features of
a few frames, beside learned tokens of its own for every step, causally over time; and each later
frame is made, in colour and where it is given in depth, from the first frame, an embedding of its
step and the codes of that step alone. So the codes of a step tell the change since the first frame:
those of the first step are the action from the present frame to the next, which is why `history` is
0, and those of the others look ahead.

Departures. In the authors' code the commitment's weight falls on the codebook's term instead, and
the perceptual term (LPIPS) is taken without gradient; here both weigh what they should. LPIPS comes
with weights that are not to be had, so that term is the distance of the frozen network's features;
of "patches", which is no network, leave it out. Their one head draws colour, and depth three times
over; here each has a head. They shift the colours of a training image at random and not its depth;
here nothing is shifted. Dead codes are revived as nn/vq.py says. A clip longer than `frames` is cut
into windows that share a frame, and steps count from the first frame of their window.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from lam_models.nn.fingerprint import weights_hash
from lam_models.nn.losses import perceptual
from lam_models.nn.patches import patchify, unpatchify
from lam_models.nn.positions import SinusoidalPositions
from lam_models.nn.quantise import nearest_code
from lam_models.nn.transformer import Block, SpaceTimeBlock, Stem
from lam_models.nn.vision import Vision, make_vision
from lam_models.nn.vq import VQ
from lam_models.systems.roles import ClipBatch, Encoded
from lam_models.types import LatentSpec


@dataclass(frozen=True)
class Config:
    """The numbers of the authors' code on CALVIN; the count of steps is ours.

    vision: a DINOv2's name, or "patches"; `patch` x `patch` pixels, of the network and the decoder.
    depth: frames have a fourth channel, the depth in m.
    gap_s: time between the frames of a clip.
    *_weight: of the terms of the loss beside the squared error of the colours.
    """

    image_size: int = 224
    vision: str = "facebook/dinov2-with-registers-base"
    patch: int = 14
    depth: bool = False
    frames: int = 4
    width: int = 768
    encoder_depth: int = 16
    decoder_depth: int = 16
    heads: int = 16
    tokens: int = 4
    code_dim: int = 128
    codebook_size: int = 32
    commitment: float = 0.25
    codebook_weight: float = 0.1
    perceptual_weight: float = 1.0
    depth_weight: float = 0.1
    gap_s: float = 0.1
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    batch_size: int = 16
    steps: int = 100_000

    history: ClassVar[int] = 0

    @classmethod
    def tiny(cls) -> Config:
        return cls(
            image_size=32,
            vision="patches",
            patch=8,
            frames=3,
            width=32,
            encoder_depth=1,
            decoder_depth=1,
            heads=2,
            code_dim=8,
            perceptual_weight=0.0,
            learning_rate=1e-3,
            batch_size=16,
            steps=200,
        )

    @classmethod
    def small(cls) -> Config:
        return replace(
            cls.tiny(),
            image_size=64,
            patch=16,
            width=64,
            encoder_depth=2,
            decoder_depth=2,
            heads=4,
            code_dim=16,
            gap_s=0.25,
            steps=3_000,
        )


class Farsighted(nn.Module):
    """The labeler of short clips and the decoder of their later frames."""

    Config = Config

    def __init__(self, config: Config, *, vision: Vision | None = None) -> None:
        super().__init__()
        self.config = c = config
        self.vision = make_vision(c.vision, c.patch) if vision is None else vision
        self.encoder = Encoder(c, self.vision.width)
        self.vq = VQ(c.code_dim, c.codebook_size, commitment=c.commitment)
        self.decoder = Decoder(c)

    def loss(self, batch: ClipBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Error of all frames but the first: of colours, their features and depth."""
        c, frames, steps = self.config, batch.frames, batch.frames.shape[1] - 1
        quantised = self.vq(self.infer(frames))
        step = torch.arange(steps, device=frames.device).repeat(len(frames))
        first = frames[:, 0].repeat_interleave(steps, 0)
        made, later = self.decoder(quantised.values.flatten(0, 1), first, step), frames[:, 1:]
        later = later.flatten(0, 1)

        error = functional.mse_loss(made[:, :3], later[:, :3])
        # What the first frame, left as it is, would score: a useful model is below.
        copy = functional.mse_loss(first[:, :3], later[:, :3])
        logged = {"reconstruction": error, "copy": copy, "codebook": quantised.loss}
        loss = error + c.codebook_weight * quantised.loss
        if c.perceptual_weight > 0:
            logged["perceptual"] = perceptual(self.vision, made[:, :3], later[:, :3])
            loss = loss + c.perceptual_weight * logged["perceptual"]
        if c.depth:
            logged["depth"] = functional.l1_loss(made[:, 3:], later[:, 3:])
            loss = loss + c.depth_weight * logged["depth"]
        return loss, {k: v.detach() for k, v in logged.items()} | dict(quantised.stats)

    def infer(
        self, frames: Float[Tensor, "batch time channels height width"]
    ) -> Float[Tensor, "batch time-1 tokens dim"]:
        """The learned tokens of each step of one window, before quantisation."""
        with torch.no_grad():
            features = self.vision(frames[:, :, :3].flatten(0, 1))
        return self.encoder(features.unflatten(0, frames.shape[:2]))

    @torch.no_grad()
    def encode(self, clips: ClipBatch) -> Encoded:
        """The codes of each step, read causally within its window."""
        frames, stride = clips.frames, self.config.frames - 1
        starts = range(0, frames.shape[1] - 1, stride)
        found = torch.cat([self.infer(frames[:, at : at + stride + 1]) for at in starts], dim=1)
        codes = nearest_code(found.flatten(0, -2), self.vq.codebook).view(found.shape[:-1])
        return Encoded(self.vq.decode(codes), codes, found)

    def decode(
        self,
        values: Float[Tensor, "batch tokens dim"],
        state: Float[Tensor, "batch time channels height width"],
    ) -> Float[Tensor, "batch channels height width"]:
        """The frame that follows the last of `state`, made from the first of its window."""
        present, stride = state.shape[1] - 1, self.config.frames - 1
        step = torch.full((len(state),), present % stride, device=state.device)
        return self.decoder(values, state[:, present - present % stride], step)

    def spec(self) -> LatentSpec:
        parts = ("vision.", "encoder.", "vq.codebook")
        encoder = {k: v for k, v in self.state_dict().items() if k.startswith(parts)}
        c, shape = self.config, (self.config.tokens, self.config.code_dim)
        hashed = weights_hash(encoder)
        return LatentSpec("farsighted", "motion", shape, c.codebook_size, c.gap_s, hashed)


class Encoder(nn.Module):
    """The features of a window's frames to the latent tokens of each step, causally over time."""

    def __init__(self, c: Config, features: int) -> None:
        super().__init__()
        self.tokens = c.tokens
        self.action_latent = nn.Parameter(torch.rand(c.frames, c.tokens, features) * 2.0 - 1.0)
        self.stem = Stem(features, c.width)
        self.positions = SinusoidalPositions()
        self.blocks = nn.ModuleList(
            SpaceTimeBlock(c.width, c.heads, causal=True) for _ in range(c.encoder_depth)
        )
        self.to_code = nn.Linear(c.width, c.code_dim)

    def forward(
        self, features: Float[Tensor, "batch time patches features"]
    ) -> Float[Tensor, "batch time-1 tokens dim"]:
        batch, time = features.shape[:2]
        asked = self.action_latent[:time].expand(batch, -1, -1, -1)
        x = self.positions(self.stem(torch.cat([asked, features], dim=2)))
        for block in self.blocks:
            x = block(x)
        return self.to_code(x[:, 1:, : self.tokens])


class Decoder(nn.Module):
    """A later frame from its step's codes and the first frame's patches, of colour and depth."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.patch, self.side, self.tokens = c.patch, c.image_size // c.patch, c.tokens
        # Channels of each kind of patch, which has an embedding and a head of its own.
        self.kinds = (3, 1) if c.depth else (3,)
        areas = [channels * c.patch**2 for channels in self.kinds]
        self.action_up = nn.Linear(c.code_dim, c.width)
        self.patch_up = nn.ModuleList(nn.Linear(area, c.width) for area in areas)
        self.step = nn.Parameter(torch.rand(c.frames - 1, 1, c.width) * 2.0 - 1.0)
        self.stem = Stem(c.width, c.width)
        self.positions = SinusoidalPositions()
        self.blocks = nn.ModuleList(Block(c.width, c.heads) for _ in range(c.decoder_depth))
        self.heads = nn.ModuleList(nn.Linear(c.width, area) for area in areas)

    def forward(
        self,
        values: Float[Tensor, "batch tokens dim"],
        first: Float[Tensor, "batch channels height width"],
        step: Int64[Tensor, " batch"],
    ) -> Float[Tensor, "batch channels height width"]:
        parts = first.split(self.kinds, dim=1)
        patches = [patchify(part, self.patch).flatten(1, 2) for part in parts]
        given = [up(part) for up, part in zip(self.patch_up, patches, strict=True)]
        x = torch.cat([self.action_up(values), *given, self.step[step]], dim=1)
        x = self.positions(self.stem(x))
        for block in self.blocks:
            x = block(x)
        seen = x[:, self.tokens : -1].chunk(len(self.kinds), dim=1)
        drawn = [head(part) for head, part in zip(self.heads, seen, strict=True)]
        frames = [unpatchify(d.unflatten(1, (self.side, -1)), self.patch) for d in drawn]
        # Colours lie between 0 and 1, depths (where there are any) above 0.
        return torch.cat([frames[0].sigmoid(), *(depth.relu() for depth in frames[1:])], dim=1)
