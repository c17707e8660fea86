"""The transformer of C-ViViT as LAPA uses it: convolved positions, cosine attention, GEGLU.

Papers: Villegas et al. 2022, Phenaki (arXiv 2210.02399); Ye et al. 2024, LAPA (2410.11758);
position generating convolution (PEG): Chu et al. 2021 (2102.10882); continuous position bias: Liu
et al. 2021, Swin V2 (2111.09883); GEGLU: Shazeer 2020 (2002.05202).

Tokens stay on their grid [batch, time, height, width, channels] throughout. Parameters have the
shapes of LAPA's released weights, less those that its self-attention holds and never uses
(context norm, empty null keys) and the norms' zero offsets. LAPA's temporal PEG reads its tokens
in a scrambled order; here they are in the order of the grid, so an importer of those weights must
put its own `peg` into the temporal blocks.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

_COSINE_SCALE = 8.0


class PEG(nn.Module):
    """Position generating module: a 3x3x3 depthwise convolution over time, height and width.

    Where tokens meet the zero padding they learn where they are. `causal` pads time at its
    beginning only.
    """

    def __init__(self, width: int, *, causal: bool) -> None:
        super().__init__()
        self.time_pad = (2, 0) if causal else (1, 1)
        self.dsconv = nn.Conv3d(width, width, 3, groups=width)

    def forward(self, x: Float[Tensor, "batch t h w width"]) -> Float[Tensor, "batch t h w width"]:
        padded = F.pad(x.movedim(-1, 1), (1, 1, 1, 1, *self.time_pad))
        return self.dsconv(padded).movedim(1, -1)


class PositionBias(nn.Module):
    """A score offset for each head from the log-scaled offset of two places of a grid."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, width),
            nn.LeakyReLU(0.1),
            nn.Linear(width, width),
            nn.LeakyReLU(0.1),
            nn.Linear(width, heads),
        )

    def forward(self, rows: int, columns: int) -> Float[Tensor, "heads places places"]:
        device = next(self.parameters()).device
        place = torch.cartesian_prod(
            torch.arange(rows, device=device), torch.arange(columns, device=device)
        )
        offset = (place[:, None] - place[None]).float()
        return self.net(offset.sign() * offset.abs().log1p()).movedim(-1, 0)


class CosineAttention(nn.Module):
    """Attention by cosine similarity with a learned scale a dimension, pre-normalised, no biases.

    null_keys: learned key and value pairs beside those of the context (LAPA: 2).
    """

    def __init__(self, width: int, heads: int, *, head_dim: int = 64, null_keys: int = 0) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads, self.null_keys = heads, null_keys
        self.norm = nn.LayerNorm(width, bias=False)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)
        self.q_scale = nn.Parameter(torch.ones(head_dim))
        self.k_scale = nn.Parameter(torch.ones(head_dim))
        if null_keys:
            # Key and value of one pair lie side by side along the second axis.
            self.null_kv = nn.Parameter(torch.randn(heads, 2 * null_keys, head_dim))

    def forward(
        self,
        x: Float[Tensor, "batch queries width"],
        context: Float[Tensor, "batch keys width"] | None = None,
        *,
        bias: Float[Tensor, "heads queries queries"] | None = None,
        allowed: Bool[Tensor, "batch keys"] | None = None,
    ) -> Float[Tensor, "batch queries width"]:
        """`context` must be normalised; without one, keys and values come from the *un-normalised*
        tokens, as in LAPA. `bias` is for self-attention, `allowed` for a context."""
        keys_from = x if context is None else context
        q = self._split(self.to_q(self.norm(x)))
        k, v = (self._split(part) for part in self.to_kv(keys_from).chunk(2, dim=-1))
        if self.null_keys:
            null = self.null_kv.expand(len(x), -1, -1, -1)
            k = torch.cat([null[:, :, 0::2], k], dim=2)
            v = torch.cat([null[:, :, 1::2], v], dim=2)
        q = F.normalize(q, dim=-1) * self.q_scale
        k = F.normalize(k, dim=-1) * self.k_scale
        mask = bias
        if allowed is not None:
            mask = F.pad(allowed, (self.null_keys, 0), value=True)[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=_COSINE_SCALE)
        return self.to_out(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Float[Tensor, "batch {self.heads} tokens head_dim"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class GatedFeedForward(nn.Module):
    """Norm, then GELU-gated linear unit, two thirds of `expand` times wider in between."""

    def __init__(self, width: int, *, expand: int = 4) -> None:
        super().__init__()
        inner = int(expand * (2 / 3) * width)
        self.norm = nn.LayerNorm(width)
        self.to_inner = nn.Linear(width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        value, gate = self.to_inner(self.norm(x)).chunk(2, dim=-1)
        return self.to_out(F.gelu(gate) * value)


class GridBlock(nn.Module):
    """PEG, attention over one axis of the grid, attention to a context if any, feed-forward."""

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        head_dim: int,
        axis: Literal["space", "time"],
        reads_context: bool,
    ) -> None:
        super().__init__()
        self.axis = axis
        self.peg = PEG(width, causal=True)
        self.attn = CosineAttention(width, heads, head_dim=head_dim)
        self.ffn = GatedFeedForward(width)
        if reads_context:
            self.context_norm = nn.LayerNorm(width, bias=False)
            self.cross = CosineAttention(width, heads, head_dim=head_dim, null_keys=2)

    def forward(
        self,
        x: Float[Tensor, "batch t h w width"],
        context: Float[Tensor, "frames keys width"] | None = None,
        bias: Float[Tensor, "heads places places"] | None = None,
    ) -> Float[Tensor, "batch t h w width"]:
        x = x + self.peg(x)
        # In space a row is a frame, in time it is a place of the grid.
        ordered = x if self.axis == "space" else x.movedim(1, 3)
        outer = ordered.shape[: 2 if self.axis == "space" else 3]
        rows = ordered.reshape(outer.numel(), -1, x.shape[-1])
        rows = rows + self.attn(rows, bias=bias)
        if context is not None:
            rows = rows + self.cross(rows, self.context_norm(context))
        rows = rows + self.ffn(rows)
        ordered = rows.reshape(ordered.shape)
        return ordered if self.axis == "space" else ordered.movedim(3, 1)


class GridTransformer(nn.Module):
    """Blocks over space or over time, then a norm.

    Attention over time is not causal, the convolution before it is: as in LAPA, whose pairs of
    frames are encoded together. With `reads_context`, each frame reads its own context tokens.
    """

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        *,
        axis: Literal["space", "time"],
        head_dim: int = 64,
        reads_context: bool = False,
    ) -> None:
        super().__init__()
        if axis not in ("space", "time") or (reads_context and axis == "time"):
            raise ValueError(f"axis {axis!r}, context {reads_context}: time blocks read no context")
        self.reads_context = reads_context
        self.layers = nn.ModuleList(
            GridBlock(width, heads, head_dim=head_dim, axis=axis, reads_context=reads_context)
            for _ in range(depth)
        )
        self.norm_out = nn.LayerNorm(width, bias=False)

    def forward(
        self,
        x: Float[Tensor, "batch t h w width"],
        context: Float[Tensor, "frames keys width"] | None = None,
        *,
        bias: Float[Tensor, "heads places places"] | None = None,
    ) -> Float[Tensor, "batch t h w width"]:
        """frames = batch * t, in that order; `bias` comes from PositionBias(h, w)."""
        if (context is not None) != self.reads_context:
            raise ValueError(f"context given: {context is not None}, built: {self.reads_context}")
        for layer in self.layers:
            x = layer(x, context, bias)
        return self.norm_out(x)
