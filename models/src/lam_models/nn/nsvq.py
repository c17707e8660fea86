"""Noise substitution in vector quantisation, with LAPA's schedule of code replacement.

Papers: Vali & Baeckstroem 2022, "NSVQ: Noise Substitution in Vector Quantization for Machine
Learning" (IEEE Access); Ye et al. 2024, LAPA (arXiv 2410.11758), which uses it with 8 codes of 32
dimensions.

In training the quantisation error is replaced by random noise of the same length, so that
gradients reach encoder and codebook without a straight-through estimator or a further loss; in
evaluation the values are the codes.

Departures from LAPA's code. (1) Its replacements are copies of used codes plus noise of 1e-12,
which float32 rounds away: two equal codes never part, since the nearest-code search always takes
the first. Here an unused code moves to a token that the codebook fits badly, as in vq.py: codes
that start far from what the encoder gives would otherwise need thousands of steps to reach it.
(2) A code is unused when it was chosen in less than `unused_below` of the *forwards* since the last
replacement (the NSVQ paper's rule); LAPA divides by the batch size. (3) The counters are buffers,
so a run resumes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from lam_models.nn.quantise import Quantized, code_counts, code_stats, nearest_code
from lam_models.nn.ranks import sum_over_ranks
from lam_models.nn.vq import draw_misfits

Schedule = Callable[[Int64[Tensor, ""]], Bool[Tensor, ""]]


def lapa_schedule(until: int = 5000) -> Schedule:
    """Every 10 steps before 100, every 100 before 1000, every 500 before `until`, then never."""

    def due(step: Int64[Tensor, ""]) -> Bool[Tensor, ""]:
        early = (step < 100) & (step % 10 == 0)
        middle = (step < 1000) & (step % 100 == 0)
        return (step > 0) & (step < until) & (early | middle | (step % 500 == 0))

    return due


class NSVQ(nn.Module):
    """Codes start as standard normal vectors; there is no loss term.

    replace_at: whether unused codes are replaced after the training forward number `step`,
        counted from 0; LAPA's schedule by default.
    """

    steps: Tensor
    forwards: Tensor
    chosen: Tensor

    def __init__(
        self,
        dim: int,
        num_codes: int,
        *,
        replace_at: Schedule | None = None,
        unused_below: float = 0.1,
    ) -> None:
        super().__init__()
        self.in_dim = self.dim = dim
        self.num_codes = num_codes
        self.replace_at, self.unused_below = replace_at or lapa_schedule(), unused_below
        self.codebook = nn.Parameter(torch.randn(num_codes, dim))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("forwards", torch.zeros((), dtype=torch.int64))
        self.register_buffer("chosen", torch.zeros(num_codes, dtype=torch.int64))

    def forward(self, x: Float[Tensor, "*batch tokens {self.dim}"]) -> Quantized:
        flat = x.reshape(-1, self.dim).float()
        indices = nearest_code(flat, self.codebook)
        code = self.codebook[indices]
        stats = code_stats(indices, self.num_codes)
        values = code
        if self.training:
            noise = torch.randn_like(flat)
            error_length = torch.linalg.vector_norm(flat - code, dim=1, keepdim=True)
            noise_length = torch.linalg.vector_norm(noise, dim=1, keepdim=True)
            values = flat + error_length / noise_length * noise
            if self.codebook.requires_grad:
                stats["replaced"] = self._replace_unused(flat.detach(), code.detach(), indices)
        return Quantized(
            values.to(x.dtype).view_as(x), indices.view(x.shape[:-1]), x.new_zeros(()), stats
        )

    def decode(
        self, indices: Int64[Tensor, "*batch tokens"]
    ) -> Float[Tensor, "*batch tokens {self.dim}"]:
        return self.codebook[indices]

    @torch.no_grad()
    def _replace_unused(self, x: Tensor, code: Tensor, indices: Tensor) -> Float[Tensor, ""]:
        """Where the schedule says so, move unused codes to tokens that fit badly."""
        self.chosen += sum_over_ranks(code_counts(indices, self.num_codes)) > 0
        self.forwards += 1
        due = self.replace_at(self.steps)
        used = self.chosen >= self.unused_below * self.forwards
        unused = due & ~used

        fresh = draw_misfits(x, (x - code).square().sum(1), self.num_codes)
        self.codebook.copy_(torch.where(unused[:, None], fresh, self.codebook))

        self.chosen *= ~due
        self.forwards *= ~due
        self.steps += 1
        return unused.float().sum()
