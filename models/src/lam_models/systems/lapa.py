"""LAQ, LAPA's latent action quantisation: a few codes that turn one frame into a later one.

Ye et al., "Latent Action Pretraining from Videos", ICLR 2025, https://arxiv.org/abs/2410.11758.
Both frames pass a C-ViViT encoder, over space and then over time; the difference of their pooled
tokens is quantised, and a decoder rebuilds the later frame's pixels from the first frame's patches
and the codes. Pixel error is the only loss: noise substitution (NSVQ) carries gradients to encoder
and codebook. The claim: a language model that has learnt to predict such codes from actionless
video learns robot actions sooner and better.

Departures of `Lapa`. The authors' code reads the codes and the temporal convolution's grid in a
scrambled order; here both are in order. Its first frame is detached before the decoder, so that
the patch embedding learns from the encoder alone: kept. Unused codes are replaced as nn/nsvq.py
says. A clip of more than two frames is a batch of its adjacent pairs. The pooling's last bias,
which cancels in the difference, is left out.
`ReferenceLapa` keeps the two scrambled orders, for the weights that were trained with them, and
`from_released` renames those.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lam_models.nn.cvivit import PEG, GridBlock, GridTransformer, PositionBias
from lam_models.nn.fingerprint import weights_hash
from lam_models.nn.nsvq import NSVQ, lapa_schedule
from lam_models.nn.patches import PatchDecoder, PatchEmbed
from lam_models.nn.quantise import nearest_code
from lam_models.systems.roles import ClipBatch, Encoded, adjacent
from lam_models.types import LatentSpec


@dataclass(frozen=True)
class Config:
    """The paper's numbers and those of its code.

    image_size, patch: pixels of a side; a side of n patches gives (⌈n / 2⌉ - 2)² codes.
    replaced_until: the training step after which unused codes are no longer replaced.
    gap_s: time between the frames of a pair, the paper's on robot data.
    """

    image_size: int = 256
    patch: int = 32
    width: int = 1024
    spatial_depth: int = 8
    temporal_depth: int = 8
    heads: int = 16
    head_dim: int = 64
    code_dim: int = 32
    codebook_size: int = 8
    replaced_until: int = 5_000
    gap_s: float = 0.6
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    gradient_clip: float = 0.5
    batch_size: int = 128
    steps: int = 100_000

    frames: ClassVar[int] = 2
    history: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.image_size % self.patch or self.tokens < 1:
            raise ValueError(
                f"image of {self.image_size} pixels in patches of {self.patch}: "
                "need a whole number of patches a side, at least 5"
            )

    @property
    def tokens(self) -> int:
        """Codes of a pair of frames."""
        side = (self.image_size // self.patch + 1) // 2 - 2
        return max(side, 0) ** 2

    @classmethod
    def tiny(cls) -> Config:
        return cls(
            image_size=32,
            patch=4,
            width=32,
            spatial_depth=1,
            temporal_depth=1,
            heads=2,
            head_dim=16,
            code_dim=8,
            learning_rate=1e-3,
            batch_size=16,
            steps=200,
        )

    @classmethod
    def small(cls) -> Config:
        return cls(
            image_size=64,
            patch=8,
            width=64,
            spatial_depth=2,
            temporal_depth=2,
            heads=2,
            head_dim=32,
            code_dim=16,
            replaced_until=1_000,
            gap_s=0.25,
            learning_rate=1e-3,
            batch_size=16,
            steps=2_000,
        )


class Lapa(nn.Module):
    """The labeler of frame pairs and the decoder of codes."""

    Config = Config
    name = "lapa"

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        c = config
        self.embed = PatchEmbed(c.patch, c.width)
        self.position_bias = PositionBias(c.width, c.heads)
        self.spatial = GridTransformer(
            c.width, c.spatial_depth, c.heads, axis="space", head_dim=c.head_dim
        )
        self.temporal = GridTransformer(
            c.width, c.temporal_depth, c.heads, axis="time", head_dim=c.head_dim
        )
        self.pool = Pool(c.width, c.code_dim)
        self.vq = NSVQ(c.code_dim, c.codebook_size, replace_at=lapa_schedule(c.replaced_until))
        self.from_codes = nn.Linear(c.code_dim, c.width)
        self.decoder = GridTransformer(
            c.width,
            c.spatial_depth,
            c.heads,
            axis="space",
            head_dim=c.head_dim,
            reads_context=True,
        )
        self.to_pixels = PatchDecoder(c.patch, c.width)

    def loss(self, batch: ClipBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Squared error of the later frame's pixels."""
        pairs = torch.stack(adjacent(batch.frames), dim=1)
        quantised = self.vq(self.infer(pairs))
        predicted = self.decode(quantised.values, pairs[:, :1])
        error = functional.mse_loss(predicted, pairs[:, 1])
        # What the first frame, left as it is, would score: a useful model is below.
        copy = functional.mse_loss(pairs[:, 0], pairs[:, 1])
        logged = {"reconstruction": error.detach(), "copy": copy, **quantised.stats}
        return error + quantised.loss, logged

    def infer(
        self, pairs: Float[Tensor, "pairs 2 3 height width"]
    ) -> Float[Tensor, "pairs tokens dim"]:
        """The pooled difference of the frames, before quantisation."""
        x = self.embed(pairs)
        x = self.spatial(x, bias=self.position_bias(*x.shape[2:4]))
        first, later = self.pool(self.temporal(x)).unbind(1)
        return later - first

    @torch.no_grad()
    def encode(self, clips: ClipBatch) -> Encoded:
        """The codes of each adjacent pair of frames, row by row of their grid."""
        latents = self.infer(torch.stack(adjacent(clips.frames), dim=1))
        codes = nearest_code(latents.flatten(0, 1), self.vq.codebook)
        codes = codes.view(len(clips.frames), -1, latents.shape[1])
        return Encoded(self.vq.decode(codes), codes, latents.unflatten(0, codes.shape[:2]))

    def decode(
        self,
        values: Float[Tensor, "batch tokens dim"],
        state: Float[Tensor, "batch time 3 height width"],
    ) -> Float[Tensor, "batch 3 height width"]:
        """The frame that follows the last of `state`."""
        patches = self.embed(state[:, -1:]).detach()
        context = self.from_codes(self.arrange(values))
        bias = self.position_bias(*patches.shape[2:4])
        return self.to_pixels(self.decoder(patches, context, bias=bias))[:, 0]

    def arrange(
        self, values: Float[Tensor, "batch tokens dim"]
    ) -> Float[Tensor, "batch tokens dim"]:
        """The order in which the decoder reads the codes' entries: as they are."""
        return values

    def spec(self) -> LatentSpec:
        parts = ("embed.", "position_bias.", "spatial.", "temporal.", "pool.", "vq.codebook")
        encoder = {k: v for k, v in self.state_dict().items() if k.startswith(parts)}
        return LatentSpec(
            name=self.name,
            kind="motion",
            shape=(self.config.tokens, self.config.code_dim),
            codebook_size=self.config.codebook_size,
            gap_s=self.config.gap_s,
            weights_hash=weights_hash(encoder),
        )


class Pool(nn.Module):
    """A frame's tokens, made narrow and convolved down to the few that codes are chosen for."""

    def __init__(self, width: int, code_dim: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(width, code_dim)
        self.convolve = nn.Sequential(
            nn.Conv2d(code_dim, code_dim, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(code_dim, code_dim, 3, bias=False),
        )

    def forward(
        self, x: Float[Tensor, "batch time rows columns width"]
    ) -> Float[Tensor, "batch time tokens dim"]:
        pooled = self.convolve(self.narrow(x).flatten(0, 1).movedim(-1, 1))
        return pooled.flatten(2).mT.unflatten(0, x.shape[:2])


class ReferenceLapa(Lapa):
    """Lapa as the released weights were trained, its two scrambled orders included.

    Same parameters, another latent space: hence the name of its own.
    """

    name = "lapa_reference"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        for block in self.temporal.layers:
            assert isinstance(block, GridBlock)
            block.peg = ScrambledPEG(config.width, causal=True)

    def arrange(
        self, values: Float[Tensor, "batch tokens dim"]
    ) -> Float[Tensor, "batch tokens dim"]:
        """Token-major memory read as if it were channel-major."""
        return values.reshape(len(values), values.shape[2], values.shape[1]).mT


class ScrambledPEG(PEG):
    """The convolution over tokens that lie place by place, read as if frame by frame."""

    def forward(self, x: Float[Tensor, "batch t h w width"]) -> Float[Tensor, "batch t h w width"]:
        places_first = x.movedim(1, 3)
        convolved = super().forward(places_first.reshape(x.shape))
        return convolved.reshape(places_first.shape).movedim(3, 1)


# Parameters of the authors' class that no output depends on: what self-attention holds for a
# context it does not have, the norms' zero offsets, the bias that cancels in the difference.
_INERT = re.compile(r"\.beta$|layers\.\d+\.1\.(null_kv|context_norm)|^vq\.cnn_encoder\.2\.bias$")

_RENAMED = (
    (r"^module\.", ""),
    (r"^spatial_rel_pos_bias\.net\.0\.0\.", "position_bias.net.0."),
    (r"^spatial_rel_pos_bias\.net\.1\.0\.", "position_bias.net.2."),
    (r"^spatial_rel_pos_bias\.net\.2\.", "position_bias.net.4."),
    (r"^to_patch_emb_first_frame\.1\.", "embed.stem.0."),
    (r"^to_patch_emb_first_frame\.2\.", "embed.stem.1."),
    (r"^to_patch_emb_first_frame\.3\.", "embed.stem.2."),
    (r"^to_pixels_first_frame\.0\.", "to_pixels.to_pixels."),
    (r"^enc_(spatial|temporal)_transformer\.", r"\1."),
    (r"^dec_spatial_transformer\.", "decoder."),
    (r"^vq\.codebooks$", "vq.codebook"),
    (r"^vq\.project_in\.", "pool.narrow."),
    (r"^vq\.cnn_encoder\.", "pool.convolve."),
    (r"^vq\.project_out\.", "from_codes."),
    (r"(layers\.\d+)\.0\.dsconv", r"\1.peg.dsconv"),
    (r"(layers\.\d+)\.2\.context_norm", r"\1.context_norm"),
    (r"(layers\.\d+)\.1\.", r"\1.attn."),
    (r"(layers\.\d+)\.2\.", r"\1.cross."),
    (r"(layers\.\d+)\.3\.0\.", r"\1.ffn.norm."),
    (r"(layers\.\d+)\.3\.1\.", r"\1.ffn.to_inner."),
    (r"(layers\.\d+)\.3\.4\.", r"\1.ffn.to_out."),
    (r"\.gamma$", ".weight"),
)


def from_released(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The authors' state dict under this module's names, for `ReferenceLapa(Config())`.

    Inert entries are dropped. The counters of `vq` are not among them: load with strict=False.
    """
    renamed = {}
    for released, value in weights.items():
        name = released
        for pattern, replacement in _RENAMED:
            name = re.sub(pattern, replacement, name)
        if not _INERT.search(released.removeprefix("module.")):
            renamed[name] = value
    return renamed
