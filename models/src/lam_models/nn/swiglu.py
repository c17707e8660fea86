"""The gated feed-forward, and the transformer block that IGOR's decoder is made of.

Papers: Shazeer 2020, SwiGLU (arXiv 2002.05202); Touvron et al. 2021, LayerScale (2103.17239), each
branch scaled by a learned vector that starts small; Zhang and Sennrich 2019, RMSNorm (1910.07467).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lam_models.nn.attention import Attention


class SwiGLU(nn.Module):
    """A product of a linear layer and a SiLU gate, `expand` times wider, then back to `width`."""

    def __init__(self, width: int, *, expand: int = 4) -> None:
        super().__init__()
        self.to_inner = nn.Linear(width, 2 * expand * width)
        self.to_width = nn.Linear(expand * width, width)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        value, gate = self.to_inner(x).chunk(2, dim=-1)
        return self.to_width(value * F.silu(gate))


class ScaledBlock(nn.Module):
    """Attention among the tokens, then feed-forward: RMS norms before, LayerScale after."""

    def __init__(self, width: int, heads: int, *, scale: float = 0.1) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(width)
        self.attn = Attention(width, heads, qk_norm=True, in_bias=True)
        self.attn_scale = nn.Parameter(torch.full((width,), scale))
        self.norm2 = nn.RMSNorm(width)
        self.ffn = SwiGLU(width)
        self.ffn_scale = nn.Parameter(torch.full((width,), scale))

    def forward(
        self, x: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        x = x + self.attn_scale * self.attn(self.norm1(x))
        return x + self.ffn_scale * self.ffn(self.norm2(x))
