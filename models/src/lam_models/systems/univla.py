"""UniVLA's latent actions: what the task explains, told apart from what it does not.

Bu et al., "UniVLA: Learning to Act Anywhere with Task-centric Latent Actions", RSS 2025,
https://arxiv.org/abs/2505.06111 (OpenDriveLab; another UniVLA is unrelated). A causal space-time
transformer reads the DINOv2 features of two frames beside learned tokens, which are quantised; a
decoder predicts the later frame's features from the first's and the codes.
Stage 1 also gives encoder and decoder the instruction. It explains the motion that serves the task,
so that the codes keep what is task-irrelevant: camera, others, background. Stage 2 drops the
instruction, keeps that codebook frozen, and lets a second one explain what is left: the
task-centric codes, which are the latent actions of the policy. This file holds stage 1 and what
both stages are made of, univla_stage2.py the second.

Departures. In the authors' stage 1 the padding of a batch's instructions is masked in the encoder
by that of another clip, wherever their lengths differ; here each by its own. Dead codes are revived
as nn/vq.py says; the authors' stage 2 revives the frozen codebook only. A clip of more than two
frames is a batch of its adjacent pairs. Without the released DINOv2 and T5 ("patches", "bytes" in
Config), the features are the pixels of patches, and the instruction's encoder is trained along.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from lam_models.nn.fingerprint import weights_hash
from lam_models.nn.positions import SinusoidalPositions
from lam_models.nn.quantise import nearest_code
from lam_models.nn.text import Language, Text, make_text
from lam_models.nn.transformer import Block, SpaceTimeBlock, Stem
from lam_models.nn.vision import Vision, make_vision
from lam_models.nn.vq import VQ
from lam_models.systems.roles import ClipBatch, Encoded, adjacent
from lam_models.types import LatentSpec


@dataclass(frozen=True)
class Config:
    """The paper's numbers and those of its code, for both stages (steps: stage 1's).

    vision: a network's name or folder, or "patches" of `patch` x `patch` pixels (nn/vision.py).
    text: a T5's name or folder, or "bytes" (nn/text.py); read by stage 1 only.
    gap_s: time between the frames of a pair.
    """

    image_size: int = 224
    vision: str = "facebook/dinov2-with-registers-base"
    patch: int = 14
    text: str = "google-t5/t5-base"
    width: int = 768
    encoder_depth: int = 12
    decoder_depth: int = 12
    heads: int = 12
    tokens: int = 4
    code_dim: int = 128
    codebook_size: int = 16
    commitment: float = 0.25
    gap_s: float = 1.0
    learning_rate: float = 1e-4
    weight_decay: float = 1e-2
    gradient_clip: float = 0.1
    batch_size: int = 512
    steps: int = 100_000

    frames: ClassVar[int] = 2
    history: ClassVar[int] = 0

    @classmethod
    def tiny(cls) -> Config:
        return cls(
            image_size=32,
            vision="patches",
            patch=8,
            text="bytes",
            width=32,
            encoder_depth=1,
            decoder_depth=1,
            heads=2,
            code_dim=8,
            learning_rate=1e-3,
            batch_size=16,
            steps=200,
        )

    @classmethod
    def small(cls) -> Config:
        return cls(
            image_size=64,
            vision="table_vit",
            patch=8,
            text="bytes",
            width=64,
            encoder_depth=2,
            decoder_depth=2,
            heads=4,
            code_dim=16,
            gap_s=0.25,
            learning_rate=1e-3,
            batch_size=16,
            steps=2_000,
        )


class UniVlaStage1(nn.Module):
    """Task-irrelevant codes, given the instruction. Clips without one count as ""."""

    Config = Config

    def __init__(
        self, config: Config, *, vision: Vision | None = None, text: Language | None = None
    ) -> None:
        super().__init__()
        self.config = c = config
        self.vision = make_vision(c.vision, c.patch) if vision is None else vision
        self.text_encoder = make_text(c.text, c.width, c.heads) if text is None else text
        features = self.vision.width
        self.lang_proj = nn.Linear(self.text_encoder.width, c.width)
        self.action_latent = learned_tokens(c.tokens, features)
        self.encoder = Encoder(features, c.width, c.encoder_depth, c.heads)
        self.to_codebook = nn.Linear(c.width, c.code_dim)
        self.vq = VQ(c.code_dim, c.codebook_size, commitment=c.commitment)
        self.patch_up = nn.Linear(features, c.width)
        self.action_up = nn.Linear(c.code_dim, c.width)
        self.decoder = Decoder(c.width, features, c.decoder_depth, c.heads)

    def loss(self, batch: ClipBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Squared error of the later frame's features, and the codebook's loss."""
        features, text = pair_features(self.vision, batch), self.read(batch)
        quantised = self.vq(self.infer(features, text))
        predicted = self.foresee(quantised.values, features[:, 0], text)
        error = functional.mse_loss(predicted, features[:, 1])
        logged = {"reconstruction": error.detach(), "codebook": quantised.loss.detach()}
        return error + quantised.loss, logged | dict(quantised.stats)

    def read(self, batch: ClipBatch) -> Text:
        """The instruction of each pair of frames."""
        instructions = batch.instructions or ("",) * len(batch.frames)
        pairs = batch.frames.shape[1] - 1
        read = self.text_encoder([text for text in instructions for _ in range(pairs)])
        return Text(self.lang_proj(read.tokens), read.allowed)

    def infer(
        self, features: Float[Tensor, "pairs 2 patches features"], text: Text
    ) -> Float[Tensor, "pairs tokens dim"]:
        """The later frame's learned tokens, before quantisation."""
        tokens = self.action_latent.expand(*features.shape[:2], -1, -1)
        encoded = self.encoder(torch.cat([tokens, features], dim=2), text)
        return self.to_codebook(encoded[:, 1, : self.config.tokens])

    def foresee(
        self,
        values: Float[Tensor, "batch tokens dim"],
        features: Float[Tensor, "batch patches features"],
        text: Text,
    ) -> Float[Tensor, "batch patches features"]:
        """The later frame's features."""
        given = torch.cat([self.action_up(values), self.patch_up(features)], dim=1)
        return self.decoder(given, text)[:, self.config.tokens :]

    def see(
        self, frames: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch patches features"]:
        return self.vision(frames)

    def decode(
        self,
        values: Float[Tensor, "batch tokens dim"],
        state: Float[Tensor, "batch time 3 height width"],
    ) -> Float[Tensor, "batch patches features"]:
        """The features of the frame that follows, where nothing was instructed."""
        text = self.read(ClipBatch(state[:, :1].repeat(1, 2, 1, 1, 1)))
        return self.foresee(values, self.see(state[:, -1]), text)

    @torch.no_grad()
    def encode(self, clips: ClipBatch) -> Encoded:
        """The task-irrelevant codes of each adjacent pair of frames."""
        latents = self.infer(pair_features(self.vision, clips), self.read(clips))
        return nearest(self.vq, latents, len(clips.frames))

    def spec(self) -> LatentSpec:
        parts = ("vision", "text_encoder", "lang_proj", "action_latent", "encoder", "to_codebook")
        parts = (*parts, "vq.codebook")
        encoder = {k: v for k, v in self.state_dict().items() if k.startswith(parts)}
        return make_spec("univla_stage1", self.config, encoder)


class Encoder(nn.Module):
    """Causal space-time transformer; the text's tokens stand beside those of every frame."""

    def __init__(self, features: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.ffn = Stem(features, width)
        self.positions = SinusoidalPositions()
        self.transformer_blocks = nn.ModuleList(
            SpaceTimeBlock(width, heads, causal=True) for _ in range(depth)
        )

    def forward(
        self, x: Float[Tensor, "batch time tokens features"], text: Text | None = None
    ) -> Float[Tensor, "batch time tokens width"]:
        tokens = x.shape[2]
        x, allowed = with_text(self.positions(self.ffn(x)), text)
        for block in self.transformer_blocks:
            x = block(x, allowed=allowed)
        return x[:, :, :tokens]


class Decoder(nn.Module):
    """Transformer over the tokens of one frame."""

    def __init__(self, width: int, features: int, depth: int, heads: int) -> None:
        super().__init__()
        self.ffn = Stem(width, width)
        self.positions = SinusoidalPositions()
        self.transformer_blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.out = nn.Linear(width, features)

    def forward(
        self, x: Float[Tensor, "batch tokens width"], text: Text | None = None
    ) -> Float[Tensor, "batch tokens features"]:
        tokens = x.shape[1]
        x, allowed = with_text(self.positions(self.ffn(x))[:, None], text)
        x, allowed = x[:, 0], None if allowed is None else allowed[:, 0]
        for block in self.transformer_blocks:
            x = block(x, allowed=allowed)
        return self.out(x[:, :tokens])


def make_spec(name: str, c: Config, encoder: Mapping[str, Tensor]) -> LatentSpec:
    shape = (c.tokens, c.code_dim)
    return LatentSpec(name, "motion", shape, c.codebook_size, c.gap_s, weights_hash(encoder))


def learned_tokens(count: int, width: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(1, 1, count, width).uniform_(-1.0, 1.0))


def with_text(
    x: Float[Tensor, "batch time tokens width"], text: Text | None
) -> tuple[Float[Tensor, "batch time all width"], Bool[Tensor, "batch time all"] | None]:
    """The text's tokens after those of every frame, and which of all may be read."""
    if text is None:
        return x, None
    beside = text.tokens[:, None].expand(-1, x.shape[1], -1, -1)
    allowed = functional.pad(text.allowed, (x.shape[2], 0), value=True)
    return torch.cat([x, beside], dim=2), allowed[:, None].expand(-1, x.shape[1], -1)


@torch.no_grad()
def pair_features(vision: Vision, batch: ClipBatch) -> Float[Tensor, "pairs 2 patches features"]:
    """Of every frame and the next, clip by clip."""
    frames = batch.frames
    features = vision(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
    return torch.stack(adjacent(features), dim=1)


def nearest(vq: VQ, latents: Float[Tensor, "pairs tokens dim"], clips: int) -> Encoded:
    """The codes alone, whatever mode the module is in."""
    codes = nearest_code(latents.flatten(0, 1), vq.codebook).view(clips, -1, latents.shape[1])
    return Encoded(vq.decode(codes), codes, latents.unflatten(0, codes.shape[:2]))


def from_released(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' Lightning state dict under this module's names; load with strict=False.

    Their DINOv2 and T5 are left out: `Config` names the same ones.
    """
    renamed = {}
    for released, value in weights.items():
        name = released.removeprefix("lam.")
        if not name.startswith(("dino_encoder.", "text_encoder.")):
            name = re.sub(r"^(decoder\..*)spatial_attn", r"\1attn", name)
            name = re.sub(r"to_out\.0\.", "to_out.", name)
            renamed[re.sub(r"\.codebook\.weight$", ".codebook", name)] = value
    return renamed
