"""Multi-head attention pooling (MAP): a few queries summarise many tokens.

Papers: Lee et al. 2018, Set Transformer (arXiv 1810.00825); Zhai et al. 2021 (2106.04560). As in
UniVLA's action decoder and IGOR's latent head: norms after the sums, RMS norm, SwiGLU.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lam_models.nn.attention import Attention
from lam_models.nn.swiglu import SwiGLU


class AttentionPool(nn.Module):
    """Tokens of any width to `queries` vectors of `width`. Blind to the order of the tokens.

    in_bias: as `Attention` has it.
    """

    def __init__(
        self,
        in_width: int,
        width: int,
        *,
        queries: int = 1,
        heads: int = 8,
        expand: int = 4,
        in_bias: bool = False,
    ) -> None:
        super().__init__()
        self.projection = nn.Linear(in_width, width)
        self.queries = nn.Parameter(0.02 * torch.randn(queries, width))
        self.attn = Attention(width, heads, in_bias=in_bias)
        self.attn_norm = nn.RMSNorm(width)
        self.mlp = SwiGLU(width, expand=expand)
        self.mlp_norm = nn.RMSNorm(width)

    def forward(
        self,
        tokens: Float[Tensor, "batch tokens in_width"],
        *,
        seed: Float[Tensor, "batch width"] | None = None,
        allowed: Bool[Tensor, "batch tokens"] | None = None,
    ) -> Float[Tensor, "batch queries width"]:
        """`seed` is added to every query (UniVLA: what the cameras saw asks the action tokens);
        `allowed` marks the tokens that count, at least one a row."""
        pooled = self.queries.expand(len(tokens), -1, -1)
        if seed is not None:
            pooled = pooled + seed[:, None]
        read = self.attn(pooled, self.projection(tokens), allowed=allowed)
        pooled = self.attn_norm(pooled + read)
        return self.mlp_norm(pooled + self.mlp(pooled))
