"""Where a token stands: learned, sinusoidal and rotary positions.

Papers: Vaswani et al. 2017 (arXiv 1706.03762) for sinusoids, which UniVLA adds over the token
index; Su et al. 2021, RoFormer (arXiv 2104.09864), which AdaWorld uses over time. LAPA's
position generating convolution is in cvivit.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def sinusoids(length: int, width: int) -> Float[Tensor, "{length} {width}"]:
    """Sine in the even and cosine in the odd columns, wavelengths from 2 pi to 2 pi 10000."""
    if width % 2:
        raise ValueError(f"width {width}: sinusoids come in pairs, need an even number")
    angle = torch.arange(length)[:, None] * _frequencies(width)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)


def halved_sinusoids(
    positions: Float[Tensor, " length"], width: int
) -> Float[Tensor, "length {width}"]:
    """All sines, then all cosines, as MAE (arXiv 2111.06377) and IGOR have them."""
    if width % 2:
        raise ValueError(f"width {width}: sinusoids come in pairs, need an even number")
    angle = positions[:, None] * _frequencies(width)
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def grid_sinusoids(side: int, width: int) -> Float[Tensor, "places {width}"]:
    """Of a square grid, row by row: the column in the first half of the width, then the row."""
    index = torch.arange(float(side))
    column, row = index.repeat(side), index.repeat_interleave(side)
    return torch.cat([halved_sinusoids(at, width // 2) for at in (column, row)], dim=1)


class LearnedPositions(nn.Module):
    """Adds one learned vector for each index of the second last axis, up to `length`."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.table = nn.Parameter(0.02 * torch.randn(length, width))

    def forward(self, x: Float[Tensor, "*batch tokens width"]) -> Float[Tensor, "... tokens width"]:
        tokens, length = x.shape[-2], len(self.table)
        if tokens > length:
            raise ValueError(f"{tokens} tokens, but positions were made for at most {length}")
        return x + self.table[:tokens]


class SinusoidalPositions(nn.Module):
    """Adds sinusoids over the second last axis."""

    def forward(self, x: Float[Tensor, "*batch tokens width"]) -> Float[Tensor, "... tokens width"]:
        return x + sinusoids(x.shape[-2], x.shape[-1]).to(x)


class Rotary(nn.Module):
    """Turns pairs of a query's or key's entries by an angle that grows with the position.

    Scores of turned queries and keys depend on differences of positions only.
    """

    frequencies: Tensor

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        if head_dim % 2:
            raise ValueError(f"head width {head_dim}: rotary positions need an even number")
        self.register_buffer("frequencies", _frequencies(head_dim), persistent=False)

    def forward(self, x: Float[Tensor, "*batch tokens dim"]) -> Float[Tensor, "*batch tokens dim"]:
        angle = torch.arange(x.shape[-2], device=x.device)[:, None] * self.frequencies
        cos, sin = angle.cos(), angle.sin()
        even, odd = x.float().unflatten(-1, (-1, 2)).unbind(-1)
        turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
        return turned.flatten(-2).to(x.dtype)


def _frequencies(width: int) -> Float[Tensor, " half"]:
    return 10000.0 ** (-torch.arange(0, width, 2) / width)
