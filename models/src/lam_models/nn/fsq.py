"""Finite scalar quantisation: round each of a few bounded dimensions to a fixed grid.

Paper: Mentzer et al. 2023, "Finite Scalar Quantization: VQ-VAE Made Simple" (arXiv 2309.15505).
The codebook is the grid of all level combinations: nothing to learn, nothing to collapse. LAOM
uses levels such as (4, 4, 4, 4) for a discrete variant of LAPO.

Departure: the grid is symmetric for even numbers of levels too. The paper shifts it by half a step
so that zero is a level, which with two levels starts training in the flat part of the tanh.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from lam_models.nn.quantise import Quantized, code_stats, straight_through


class FSQ(nn.Module):
    """`levels[i]` even steps from -1 to 1 along dimension i: dim = len, num_codes = product.

    The first dimension is the fastest digit of an index.
    """

    top: Tensor
    place: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        if not levels or min(levels) < 2:
            raise ValueError(f"levels {tuple(levels)}: need one or more numbers of at least 2")
        self.levels = tuple(levels)
        self.in_dim = self.dim = len(self.levels)
        self.num_codes = math.prod(self.levels)
        counts = torch.tensor(self.levels)
        place = torch.cat([torch.ones(1, dtype=torch.int64), counts.cumprod(0)[:-1]])
        self.register_buffer("top", counts - 1, persistent=False)
        self.register_buffer("place", place, persistent=False)

    def forward(self, x: Float[Tensor, "*batch tokens {self.dim}"]) -> Quantized:
        position = (x.float().tanh() + 1.0) / 2.0 * self.top
        digits = position.detach().round().long()
        indices = (digits * self.place).sum(-1)
        values = straight_through(2.0 * position / self.top - 1.0, self._level(digits))
        stats = code_stats(indices, self.num_codes)
        return Quantized(values.to(x.dtype), indices, x.new_zeros(()), stats)

    def decode(
        self, indices: Int64[Tensor, "*batch tokens"]
    ) -> Float[Tensor, "*batch tokens {self.dim}"]:
        return self._level(indices[..., None] // self.place % (self.top + 1))

    def _level(self, digits: Int64[Tensor, "*any"]) -> Float[Tensor, "*any"]:
        return 2.0 * digits.float() / self.top - 1.0
