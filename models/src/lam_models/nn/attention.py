"""Multi-head scaled dot-product attention, of tokens to themselves or to a context.

Paper: Vaswani et al. 2017 (arXiv 1706.03762). Query and key normalisation: Henry et al. 2020
(arXiv 2010.04245) as in ViT-22B and IGOR. LAPA's cosine attention is in cvivit.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn


class Attention(nn.Module):
    """Projections without bias in, with bias out (as UniVLA has them).

    context_width: width of the context's tokens, `width` if None.
    position: applied to the queries and keys of each head, e.g. positions.Rotary.
    qk_norm: layer normalisation of each head's queries and keys.
    in_bias: gives the projections of queries, keys and values a bias too (as IGOR has them).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        context_width: int | None = None,
        position: nn.Module | None = None,
        qk_norm: bool = False,
        in_bias: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"width {width} is not a multiple of {heads} heads")
        context_width = width if context_width is None else context_width
        self.heads, self.dropout = heads, dropout
        self.to_q = nn.Linear(width, width, bias=in_bias)
        self.to_k = nn.Linear(context_width, width, bias=in_bias)
        self.to_v = nn.Linear(context_width, width, bias=in_bias)
        self.to_out = nn.Linear(width, width)
        self.position = position if position is not None else nn.Identity()
        self.q_norm = nn.LayerNorm(width // heads) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(width // heads) if qk_norm else nn.Identity()

    def forward(
        self,
        x: Float[Tensor, "batch queries width"],
        context: Float[Tensor, "batch keys context_width"] | None = None,
        *,
        allowed: Bool[Tensor, "batch keys"] | None = None,
        causal: bool = False,
    ) -> Float[Tensor, "batch queries width"]:
        """`allowed` marks the keys that may be read, at least one a row; `causal` those not later
        than the query."""
        if causal and allowed is not None:
            raise ValueError("causal attention takes no key mask: leave out one of the two")
        context = x if context is None else context
        q = self.position(self.q_norm(self._split(self.to_q(x))))
        k = self.position(self.k_norm(self._split(self.to_k(context))))
        v = self._split(self.to_v(context))
        mixed = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=None if allowed is None else allowed[:, None, None, :],
            dropout_p=self.dropout if self.training else 0.0,
            is_causal=causal,
        )
        return self.to_out(mixed.transpose(1, 2).flatten(2))

    def _split(
        self, x: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch {self.heads} tokens head_dim"]:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
