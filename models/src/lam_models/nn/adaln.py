"""Blocks whose normalisation is shifted, scaled and gated by a condition or a learned table.

Papers: Peebles & Xie 2023, DiT (arXiv 2212.09748): the condition sets shift, scale and gate, and
starts with all three at zero, so that a new block is the identity. PixArt-alpha (2310.00426) and
Open-Sora replace the condition's network by a table; with nothing but the table it is the encoder
block of IGOR as villa-X (2507.23682) releases it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lam_models.nn.attention import Attention
from lam_models.nn.transformer import FeedForward, along_time, per_frame


class AdaLNBlock(nn.Module):
    """A transformer block under a condition; the identity until trained (adaLN-Zero)."""

    def __init__(
        self, width: int, heads: int, condition_width: int, *, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.norm1 = _plain_norm(width)
        self.attn = Attention(width, heads, dropout=dropout)
        self.norm2 = _plain_norm(width)
        self.ffn = FeedForward(width, dropout=dropout)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(condition_width, 6 * width))
        for parameter in self.modulation.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self,
        x: Float[Tensor, "batch tokens width"],
        condition: Float[Tensor, "batch condition_width"],
    ) -> Float[Tensor, "batch tokens width"]:
        parts = self.modulation(condition)[:, None].chunk(6, dim=-1)
        attn_shift, attn_scale, attn_gate, ffn_shift, ffn_scale, ffn_gate = parts
        x = x + attn_gate * self.attn(_modulate(self.norm1(x), attn_shift, attn_scale))
        return x + ffn_gate * self.ffn(_modulate(self.norm2(x), ffn_shift, ffn_scale))


class TableSpaceTimeBlock(nn.Module):
    """IGOR's encoder block: a learned table modulates; space and time share one gate.

    The temporal attention reads the residual stream without a norm; `time_positions` are added
    there, which villa-X does in the first block only.
    """

    def __init__(
        self, width: int, heads: int, *, causal: bool = True, qk_norm: bool = True
    ) -> None:
        super().__init__()
        self.causal = causal
        self.norm1 = _plain_norm(width)
        self.attn = Attention(width, heads, qk_norm=qk_norm, in_bias=True)
        self.attn_temp = Attention(width, heads, qk_norm=qk_norm, in_bias=True)
        self.norm2 = _plain_norm(width)
        self.ffn = FeedForward(width, approximate="tanh")
        self.scale_shift_table = nn.Parameter(torch.randn(6, width) / width**0.5)

    def forward(
        self,
        x: Float[Tensor, "batch time tokens width"],
        *,
        time_positions: Float[Tensor, "time width"] | None = None,
    ) -> Float[Tensor, "batch time tokens width"]:
        attn_shift, attn_scale, attn_gate, ffn_shift, ffn_scale, ffn_gate = self.scale_shift_table
        modulated = _modulate(self.norm1(x), attn_shift, attn_scale)
        x = x + attn_gate * per_frame(self.attn, modulated)
        timed = x if time_positions is None else x + time_positions[:, None]
        x = x + attn_gate * along_time(self.attn_temp, timed, causal=self.causal)
        return x + ffn_gate * self.ffn(_modulate(self.norm2(x), ffn_shift, ffn_scale))


def _plain_norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=1e-6, elementwise_affine=False)


def _modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1.0 + scale) + shift
