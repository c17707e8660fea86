"""IGOR: latent actions from clips, which carry a motion from one scene over to another.

Chen et al., "IGOR: Image-GOal Representations are the Atomic Control Units for Foundation Models in
Embodied AI", 2024, https://arxiv.org/abs/2411.00785. A causal space-time transformer reads a whole
clip; each pair of neighbouring frames is averaged and pooled into a few codes, and a decoder makes
the later frame from the earlier one and the codes. The claim: what is told by so narrow a latent is
told in the same words for humans and robots, so that a latent read from one scene moves another
(`migrate`). Layers, names and numbers are those of the latent-action model of villa-X
(https://arxiv.org/abs/2507.23682), the only code of IGOR's authors to be had.

Being causal, the latent of a step depends on every frame up to the later one of its pair, and on
its place in the clip. It is best defined at the last step, where the clip's whole past is before it
and where the authors' code slides its window to: hence `history`.

Departures. No training code was released: the loss is the error and the codebook's, as the rest of
their class suggests, and weight decay, steps and time gap are ours. Dead codes are revived as
nn/vq.py says. The target is standardised a channel, as theirs is, and not a patch, so that `decode`
gives pixels and needs no statistic of a frame yet to be made. villa-X's second forward model, of
the robot's state, is not among the released layers and left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lam_models.nn.adaln import TableSpaceTimeBlock
from lam_models.nn.crop import resized_crop
from lam_models.nn.fingerprint import weights_hash
from lam_models.nn.heads import xavier_init
from lam_models.nn.imagenet import standardise, unstandardise
from lam_models.nn.patches import patchify, unpatchify
from lam_models.nn.pool import AttentionPool
from lam_models.nn.positions import grid_sinusoids, halved_sinusoids
from lam_models.nn.quantise import nearest_code
from lam_models.nn.swiglu import ScaledBlock
from lam_models.nn.vq import VQ
from lam_models.systems.roles import ClipBatch, Encoded, adjacent
from lam_models.types import LatentSpec


@dataclass(frozen=True)
class Config:
    """villa-X's numbers.

    image_size, patch: pixels of a side.
    gap_s: time between the frames of a clip.
    frames: of a clip, and of the window that slides over a longer one.
    smallest_crop: share of the image's area that a training clip keeps at least; 1 for all of it.
    """

    image_size: int = 224
    patch: int = 14
    frames: int = 8
    width: int = 768
    encoder_depth: int = 12
    encoder_heads: int = 8
    decoder_depth: int = 8
    decoder_heads: int = 16
    pool_heads: int = 24
    tokens: int = 4
    code_dim: int = 128
    codebook_size: int = 32
    commitment: float = 0.25
    smallest_crop: float = 0.8
    gap_s: float = 0.5
    learning_rate: float = 1.5e-4
    weight_decay: float = 1e-2
    batch_size: int = 512
    steps: int = 100_000
    warmup_steps: int = 2_000

    @property
    def history(self) -> int:
        """The step that counts is the last of a clip, which has all the others' frames before."""
        return self.frames - 2

    @classmethod
    def tiny(cls) -> Config:
        return cls(
            image_size=32,
            patch=8,
            frames=4,
            width=32,
            encoder_depth=1,
            encoder_heads=2,
            decoder_depth=1,
            decoder_heads=2,
            pool_heads=2,
            code_dim=8,
            smallest_crop=1.0,
            learning_rate=1e-3,
            batch_size=16,
            steps=200,
            warmup_steps=10,
        )

    @classmethod
    def small(cls) -> Config:
        return replace(
            cls.tiny(),
            image_size=64,
            patch=16,
            frames=3,
            width=64,
            encoder_depth=2,
            decoder_depth=2,
            code_dim=16,
            gap_s=0.25,
            steps=3_000,
            warmup_steps=100,
        )


class Igor(nn.Module):
    """Labeler of clips, and the world model that plays their latents in any scene."""

    Config = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = c = config
        self.encoder = Encoder(c)
        self.vq = VQ(c.code_dim, c.codebook_size, commitment=c.commitment)
        self.decoder = Decoder(c)
        self.apply(xavier_init)

    def loss(self, batch: ClipBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Squared error of every frame but the first, and the codebook's loss."""
        smallest = self.config.smallest_crop if self.training else 1.0
        frames = standardise(resized_crop(batch.frames, smallest))
        quantised = self.vq(self.encoder(frames))
        present, following = adjacent(frames)
        predicted = self.decoder(quantised.values.flatten(0, 1), present)
        error = functional.mse_loss(predicted, following)
        # What the present frame, left as it is, would score: a useful model is below.
        copy = functional.mse_loss(present, following)
        logged = {"reconstruction": error.detach(), "copy": copy, **quantised.stats}
        return error + quantised.loss, logged | {"codebook": quantised.loss.detach()}

    @torch.no_grad()
    def encode(self, clips: ClipBatch) -> Encoded:
        """Over a clip longer than `frames` a window slides; each later one adds its last step."""
        frames, window = standardise(clips.frames), self.config.frames
        latents = [self.encoder(frames[:, :window])]
        for end in range(window + 1, frames.shape[1] + 1):
            latents.append(self.encoder(frames[:, end - window : end])[:, -1:])
        found = torch.cat(latents, dim=1)
        codes = nearest_code(found.flatten(0, -2), self.vq.codebook).view(found.shape[:-1])
        return Encoded(self.vq.decode(codes), codes, found)

    def decode(
        self,
        values: Float[Tensor, "batch tokens dim"],
        state: Float[Tensor, "batch time 3 height width"],
    ) -> Float[Tensor, "batch 3 height width"]:
        """The frame that follows the last of `state`."""
        return unstandardise(self.decoder(values, standardise(state[:, -1]))).clamp(0.0, 1.0)

    @torch.no_grad()
    def migrate(
        self, clips: ClipBatch, scenes: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch steps 3 height width"]:
        """The motion of each clip, played in a scene of another: each step from the frame before
        it, which from the second step on is the model's own."""
        made = [scenes]
        for values in self.encode(clips).values.unbind(1):
            made.append(self.decode(values, made[-1][:, None]))
        return torch.stack(made[1:], dim=1)

    def spec(self) -> LatentSpec:
        parts = ("encoder.", "vq.codebook")
        encoder = {k: v for k, v in self.state_dict().items() if k.startswith(parts)}
        c, shape = self.config, (self.config.tokens, self.config.code_dim)
        hashed = weights_hash(encoder)
        return LatentSpec("igor", "motion", shape, c.codebook_size, c.gap_s, hashed)


class Patches(nn.Module):
    """Standardised frames to tokens that know their place in the frame."""

    space: Tensor

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.patch = c.patch
        self.proj = nn.Linear(3 * c.patch**2, c.width)
        self.register_buffer("space", grid_sinusoids(c.image_size // c.patch, c.width))

    def forward(
        self, frames: Float[Tensor, "*batch 3 height width"]
    ) -> Float[Tensor, "*batch places out"]:
        return self.proj(patchify(frames, self.patch).flatten(-3, -2)) + self.space


class Encoder(nn.Module):
    """Inverse dynamics: the frames of a clip to the latent tokens of each step."""

    time: Tensor

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.embed = Patches(c)
        self.register_buffer("time", halved_sinusoids(torch.arange(float(c.frames)), c.width))
        self.layers = nn.ModuleList(
            TableSpaceTimeBlock(c.width, c.encoder_heads) for _ in range(c.encoder_depth)
        )
        self.norm = nn.RMSNorm(c.width)
        self.pool = AttentionPool(
            c.width, c.width, queries=c.tokens, heads=c.pool_heads, in_bias=True
        )
        self.to_code = nn.Linear(c.width, c.code_dim)

    def forward(
        self, frames: Float[Tensor, "batch time 3 height width"]
    ) -> Float[Tensor, "batch time-1 tokens dim"]:
        x = self.embed(frames)
        time: Tensor | None = self.time[: frames.shape[1]]
        for layer in self.layers:
            x, time = layer(x, time_positions=time), None  # only the first is told the time
        earlier, later = adjacent(self.norm(x))
        latents = self.to_code(self.pool((earlier + later) / 2.0))
        return latents.unflatten(0, (len(frames), -1))


class Decoder(nn.Module):
    """Forward dynamics: all latent tokens of a step as one, before the patches of its frame."""

    def __init__(self, c: Config) -> None:
        super().__init__()
        self.patch, self.side = c.patch, c.image_size // c.patch
        self.embed = Patches(c)
        self.action_embed = nn.Linear(c.tokens * c.code_dim, c.width)
        self.layers = nn.ModuleList(
            ScaledBlock(c.width, c.decoder_heads) for _ in range(c.decoder_depth)
        )
        self.norm = nn.RMSNorm(c.width)
        self.pred_head = nn.Linear(c.width, 3 * c.patch**2)

    def forward(
        self,
        values: Float[Tensor, "batch tokens dim"],
        frames: Float[Tensor, "batch 3 height width"],
    ) -> Float[Tensor, "batch 3 height width"]:
        x = torch.cat([self.action_embed(values.flatten(1))[:, None], self.embed(frames)], dim=1)
        for layer in self.layers:
            x = layer(x)
        made = self.pred_head(self.norm(x)[:, 1:]).unflatten(1, (self.side, self.side))
        return unpatchify(made, self.patch)


_RENAMED = (
    (r"^vq\.embedding\.weight$", "vq.codebook"),
    (r"\.(pe|pe_spatial)$", ".embed.space"),
    (r"\.pe_temporal$", ".time"),
    (r"\.map_block\.final_proj\.0\.", ".to_code."),
    (r"\.map_block\.latents$", ".pool.queries"),
    (r"\.map_block\.pre_projection\.", ".pool.projection."),
    (r"\.map_block\.", ".pool."),
    (r"\.layer_scale_(attn|mlp)\.gamma$", r".\1_scale"),
    (r"\.pre_norm_attn\.", ".norm1."),
    (r"\.pre_norm_mlp\.", ".norm2."),
    (r"\.(attn|attn_temp)\.proj\.", r".\1.to_out."),
    (r"\.([qk])_layernorm\.", r".\1_norm."),
    (r"\.attn\.q\.", ".attn.to_q."),
    (r"\.mlp\.0\.project\.", ".mlp.to_inner."),
    (r"\.mlp\.[12]\.", ".mlp.to_width."),
    (r"\.mlp\.fc1\.", ".mlp.0."),
    (r"\.mlp\.fc2\.", ".mlp.3."),
    (r"(layers\.\d+)\.mlp", r"\1.ffn"),
    (r"\.g$", ".weight"),
)


def from_released(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """villa-X's state dict under this module's names.

    The counters of `vq` are not among them: load with strict=False.
    """
    renamed: dict[str, Tensor] = {}
    for name, value in weights.items():
        for pattern, replacement in _RENAMED:
            name = re.sub(pattern, replacement, name)
        if joined := re.search(r"\.(qkv|kv)\.", name):
            for part, of_part in zip(joined[1], value.chunk(len(joined[1])), strict=True):
                renamed[name.replace(joined[0], f".to_{part}.")] = of_part
        elif name.endswith(".embed.proj.weight"):
            renamed[name] = value.flatten(1)
        elif name.startswith("decoder.pred_head."):
            # A patch's entries are (row, column, channel) there, (channel, row, column) here.
            renamed[name] = value.unflatten(0, (-1, 3)).movedim(1, 0).flatten(0, 1)
        else:
            renamed[name] = value[0] if name.endswith((".space", ".time")) else value
    return renamed
