"""Pre-norm transformer blocks over tokens and over space and time.

Papers: Xu et al. 2020, spatial-temporal transformer (arXiv 2001.02908), in the form that Genie
(arXiv 2402.15391), UniVLA (2505.06111) and AdaWorld (2503.18938) use: attention among the tokens of
a frame, then of each token along time, then one feed-forward. Parameter names and shapes follow
UniVLA's released weights.
"""

from __future__ import annotations

from typing import Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn

from lam_models.nn.attention import Attention


class Stem(nn.Sequential):
    """Brings features of any scale to the width of the blocks: norm, linear, norm."""

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__(nn.LayerNorm(in_width), nn.Linear(in_width, width), nn.LayerNorm(width))


class FeedForward(nn.Sequential):
    """Two linear layers with GELU, `expand` times wider in between.

    approximate: of GELU, "tanh" as in Open-Sora and IGOR.
    """

    def __init__(
        self,
        width: int,
        *,
        expand: int = 4,
        dropout: float = 0.0,
        approximate: Literal["none", "tanh"] = "none",
    ) -> None:
        super().__init__(
            nn.Linear(width, expand * width),
            nn.GELU(approximate),
            nn.Dropout(dropout),
            nn.Linear(expand * width, width),
        )


class Block(nn.Module):
    """Attention among the tokens, then feed-forward: ViT's block, UniVLA's decoder."""

    def __init__(self, width: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads, dropout=dropout)
        self.norm2 = nn.LayerNorm(width)
        self.ffn = FeedForward(width, dropout=dropout)

    def forward(
        self,
        x: Float[Tensor, "batch tokens width"],
        *,
        allowed: Bool[Tensor, "batch tokens"] | None = None,
    ) -> Float[Tensor, "batch tokens width"]:
        x = x + self.attn(self.norm1(x), allowed=allowed)
        return x + self.ffn(self.norm2(x))


class CrossBlock(nn.Module):
    """Attention among the tokens, then to a context, then feed-forward."""

    def __init__(
        self, width: int, heads: int, *, context_width: int | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        context_width = width if context_width is None else context_width
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads, dropout=dropout)
        self.norm2 = nn.LayerNorm(width)
        self.norm_context = nn.LayerNorm(context_width)
        self.cross = Attention(width, heads, context_width=context_width, dropout=dropout)
        self.norm3 = nn.LayerNorm(width)
        self.ffn = FeedForward(width, dropout=dropout)

    def forward(
        self,
        x: Float[Tensor, "batch tokens width"],
        context: Float[Tensor, "batch keys context_width"],
        *,
        allowed: Bool[Tensor, "batch keys"] | None = None,
    ) -> Float[Tensor, "batch tokens width"]:
        """`allowed` marks the context tokens that may be read, at least one a row."""
        x = x + self.attn(self.norm1(x))
        x = x + self.cross(self.norm2(x), self.norm_context(context), allowed=allowed)
        return x + self.ffn(self.norm3(x))


class SpaceTimeBlock(nn.Module):
    """Attention within each frame, then of each token along time, then feed-forward.

    causal: a frame reads only itself and earlier frames.
    time_position: applied to the temporal queries and keys, e.g. positions.Rotary.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        causal: bool,
        time_position: nn.Module | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.causal = causal
        self.norm1 = nn.LayerNorm(width)
        self.spatial_attn = Attention(width, heads, dropout=dropout)
        self.norm2 = nn.LayerNorm(width)
        self.temporal_attn = Attention(width, heads, position=time_position, dropout=dropout)
        self.norm3 = nn.LayerNorm(width)
        self.ffn = FeedForward(width, dropout=dropout)

    def forward(
        self,
        x: Float[Tensor, "batch time tokens width"],
        *,
        allowed: Bool[Tensor, "batch time tokens"] | None = None,
    ) -> Float[Tensor, "batch time tokens width"]:
        """`allowed` marks the tokens that the others of their frame may read (text padding)."""
        within = None if allowed is None else allowed.flatten(0, 1)
        x = x + per_frame(self.spatial_attn, self.norm1(x), allowed=within)
        x = x + along_time(self.temporal_attn, self.norm2(x), causal=self.causal)
        return x + self.ffn(self.norm3(x))


def per_frame(
    attention: Attention,
    x: Float[Tensor, "batch time tokens width"],
    *,
    allowed: Bool[Tensor, "frames tokens"] | None = None,
) -> Float[Tensor, "batch time tokens width"]:
    """Attention among the tokens of each frame."""
    return attention(x.flatten(0, 1), allowed=allowed).unflatten(0, x.shape[:2])


def along_time(
    attention: Attention, x: Float[Tensor, "batch time tokens width"], *, causal: bool
) -> Float[Tensor, "batch time tokens width"]:
    """Attention of each token to the tokens of the same place in the other frames."""
    series = x.transpose(1, 2)
    mixed = attention(series.flatten(0, 1), causal=causal)
    return mixed.unflatten(0, series.shape[:2]).transpose(1, 2)
