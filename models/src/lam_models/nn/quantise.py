"""What every bottleneck returns, and the arithmetic that codebooks share.

A bottleneck maps [..., tokens, in_dim] to a `Quantized` whose values are [..., tokens, dim]. One
with a codebook (`num_codes` > 0) also turns stored indices back into values with `decode`; in
evaluation `values` equals `decode(indices)` to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn


@dataclass(frozen=True)
class Quantized:
    """A bottleneck's output.

    values: what the decoder reads; gradients pass through them to the encoder.
    indices: the chosen codes, None for a continuous latent.
    loss: already weighted, to be added to the system's loss; zero where there is none.
    stats: detached scalars for the log, e.g. "perplexity" and "used_share" of this batch.
    """

    values: Float[Tensor, "*batch tokens dim"]
    indices: Int64[Tensor, "*batch tokens"] | None
    loss: Float[Tensor, ""]
    stats: Mapping[str, Tensor] = field(default_factory=dict)


class Bottleneck(Protocol):
    """Every quantiser, discrete or not. `num_codes` is 0 for a continuous one."""

    in_dim: int
    dim: int
    num_codes: int

    def __call__(self, x: Float[Tensor, "*batch tokens in_dim"]) -> Quantized: ...


class Codebook(Bottleneck, Protocol):
    """A discrete bottleneck."""

    def decode(self, indices: Int64[Tensor, "*batch tokens"]) -> Float[Tensor, "... dim"]: ...


class Identity(nn.Module):
    """No bottleneck at all: LAOM's wide continuous latent."""

    num_codes = 0

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.in_dim = self.dim = dim

    def forward(self, x: Float[Tensor, "*batch tokens {self.dim}"]) -> Quantized:
        return Quantized(values=x, indices=None, loss=x.new_zeros(()))


def straight_through(
    x: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """The value of `target`, to the bit, with the gradient of `x` (Bengio et al. 2013)."""
    # x + (target - x).detach(), the usual form, is only equal up to rounding.
    return target.detach() + (x - x.detach())


@torch.no_grad()
def nearest_code(
    x: Float[Tensor, "n dim"], codebook: Float[Tensor, "codes dim"]
) -> Int64[Tensor, " n"]:
    """Index of the Euclidean nearest code; the lowest index where two are equally near."""
    with torch.autocast(x.device.type, enabled=False):
        codes = codebook.float()
        return (codes.square().sum(1) - 2.0 * x.float() @ codes.T).argmin(1)


@torch.no_grad()
def code_counts(indices: Int64[Tensor, "*any"], num_codes: int) -> Int64[Tensor, " {num_codes}"]:
    """How often each code occurs."""
    flat = indices.flatten()
    counts = torch.zeros(num_codes, dtype=torch.int64, device=flat.device)
    return counts.scatter_add(0, flat, torch.ones_like(flat))


@torch.no_grad()
def code_stats(indices: Int64[Tensor, "*any"], num_codes: int) -> dict[str, Tensor]:
    """Perplexity exp(-sum p log p) and share of the codes that occur, over this batch."""
    counts = code_counts(indices, num_codes)
    probability = counts / counts.sum().clamp(min=1)
    return {
        "perplexity": torch.special.entr(probability).sum().exp(),
        "used_share": (counts > 0).float().mean(),
    }
