"""Vector quantisation with a learned codebook.

Paper: van den Oord et al. 2017, "Neural Discrete Representation Learning" (arXiv 1711.00937); `VQ`
moves its codes by gradient (UniVLA, IGOR, Farsighted-LAM), `EmaVQ` by the moving averages of the
paper's appendix A (LAPO).

Departures. Dead codes are revived during the whole training, in the codebook that is trained, at
tokens that the codebook fits badly (drawn by squared distance, as k-means++ seeds its centres);
the originals copy other codes, which may be dead themselves, or do nothing. A frozen codebook
(`requires_grad_(False)` for VQ, `eval()` for both) never changes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from lam_models.nn.quantise import (
    Quantized,
    code_counts,
    code_stats,
    nearest_code,
    straight_through,
)
from lam_models.nn.ranks import from_first_rank, sum_over_ranks

# torch.multinomial's limit of categories; more tokens than this add nothing to the draw.
_MAX_DRAW = 2**20


class UsageWindow(nn.Module):
    """Counts the choices of each code over a window of training forwards.

    every: forwards in a window; 0 never declares a code dead.
    below: a code is dead when the window gave it less than this part of an equal share.
    """

    chosen: Tensor
    forwards: Tensor

    def __init__(self, num_codes: int, every: int, below: float) -> None:
        super().__init__()
        if every < 0 or not 0.0 <= below < 1.0:
            raise ValueError(f"window of {every} forwards, below {below}: need >= 0 and in [0, 1)")
        self.every, self.below = every, below
        self.register_buffer("chosen", torch.zeros(num_codes, dtype=torch.int64))
        self.register_buffer("forwards", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def dead_after(self, counts: Int64[Tensor, " codes"]) -> Bool[Tensor, " codes"]:
        """Add one forward's counts; at the end of a window, the dead codes, else none.

        Free of branches on tensor values, so that no step waits for the accelerator.
        """
        self.chosen += counts
        self.forwards += 1
        ended = (self.forwards >= self.every) & (self.every > 0)
        fair_share = self.chosen.sum() / len(self.chosen)
        dead = ended & (self.chosen <= self.below * fair_share)
        self.chosen *= ~ended
        self.forwards *= ~ended
        return dead


@torch.no_grad()
def draw_misfits(
    x: Float[Tensor, "n dim"], error: Float[Tensor, " n"], count: int
) -> Float[Tensor, "{count} dim"]:
    """`count` tokens drawn with probability proportional to their squared error."""
    x, error = x[:_MAX_DRAW], error[:_MAX_DRAW]
    # The smallest normal number keeps the draw defined where every token is a code already.
    weight = error + torch.finfo(error.dtype).tiny
    picked = torch.multinomial(weight, count, replacement=len(x) < count)
    return from_first_rank(x[picked])


class VQ(nn.Module):
    """Codes moved by gradient: loss = codebook_weight |sg[x] - e|^2 + commitment |x - sg[e]|^2.

    Both terms are means over all elements. Farsighted-LAM's code has the two weights swapped
    (codebook 0.25, commitment 1.0). Codes start uniform in +-init_bound, 1 / num_codes if None.
    """

    def __init__(
        self,
        dim: int,
        num_codes: int,
        *,
        commitment: float = 0.25,
        codebook_weight: float = 1.0,
        init_bound: float | None = None,
        revive_every: int = 100,
        dead_below: float = 0.02,
    ) -> None:
        super().__init__()
        self.in_dim = self.dim = dim
        self.num_codes = num_codes
        self.commitment, self.codebook_weight = commitment, codebook_weight
        self.codebook = nn.Parameter(_uniform_codes(num_codes, dim, init_bound))
        self.usage = UsageWindow(num_codes, revive_every, dead_below)

    def forward(self, x: Float[Tensor, "*batch tokens {self.dim}"]) -> Quantized:
        flat = x.reshape(-1, self.dim).float()
        indices = nearest_code(flat, self.codebook)
        code = self.codebook[indices]
        loss = self.codebook_weight * F.mse_loss(code, flat.detach())
        loss = loss + self.commitment * F.mse_loss(flat, code.detach())
        stats = code_stats(indices, self.num_codes)
        if self.training and self.codebook.requires_grad:
            stats["revived"] = self._revive(flat.detach(), code.detach(), indices)
        values = straight_through(flat, code).to(x.dtype)
        return Quantized(values.view_as(x), indices.view(x.shape[:-1]), loss, stats)

    def decode(
        self, indices: Int64[Tensor, "*batch tokens"]
    ) -> Float[Tensor, "*batch tokens {self.dim}"]:
        return self.codebook[indices]

    @torch.no_grad()
    def _revive(self, x: Tensor, code: Tensor, indices: Tensor) -> Float[Tensor, ""]:
        counts = sum_over_ranks(code_counts(indices, self.num_codes))
        dead = self.usage.dead_after(counts)
        fresh = draw_misfits(x, (x - code).square().sum(1), self.num_codes)
        self.codebook.copy_(torch.where(dead[:, None], fresh, self.codebook))
        return dead.float().sum()


class EmaVQ(nn.Module):
    """Codes that are moving averages of the tokens assigned to them: loss = commitment |x - e|^2.

    The averages are buffers; each code starts as one observation of itself, so that a code that
    is never chosen stays where it is and needs no smoothing. One update a training forward.
    """

    codebook: Tensor
    ema_count: Tensor
    ema_sum: Tensor

    def __init__(
        self,
        dim: int,
        num_codes: int,
        *,
        commitment: float = 0.05,
        decay: float = 0.999,
        init_bound: float | None = None,
        revive_every: int = 100,
        dead_below: float = 0.02,
    ) -> None:
        super().__init__()
        if not 0.0 < decay < 1.0:
            raise ValueError(f"decay {decay}: must lie between 0 and 1")
        self.in_dim = self.dim = dim
        self.num_codes = num_codes
        self.commitment, self.decay = commitment, decay
        codes = _uniform_codes(num_codes, dim, init_bound)
        self.register_buffer("codebook", codes)
        self.register_buffer("ema_count", torch.ones(num_codes))
        self.register_buffer("ema_sum", codes.clone())
        self.usage = UsageWindow(num_codes, revive_every, dead_below)

    def forward(self, x: Float[Tensor, "*batch tokens {self.dim}"]) -> Quantized:
        flat = x.reshape(-1, self.dim).float()
        indices = nearest_code(flat, self.codebook)
        code = self.codebook[indices]
        loss = self.commitment * F.mse_loss(flat, code)
        stats = code_stats(indices, self.num_codes)
        if self.training:
            stats["revived"] = self._move(flat.detach(), code, indices)
        values = straight_through(flat, code).to(x.dtype)
        return Quantized(values.view_as(x), indices.view(x.shape[:-1]), loss, stats)

    def decode(
        self, indices: Int64[Tensor, "*batch tokens"]
    ) -> Float[Tensor, "*batch tokens {self.dim}"]:
        return self.codebook[indices]

    @torch.no_grad()
    def _move(self, x: Tensor, code: Tensor, indices: Tensor) -> Float[Tensor, ""]:
        counts = sum_over_ranks(code_counts(indices, self.num_codes))
        # A product with the one-hot matrix is deterministic on every device, index_add is not.
        with torch.autocast(x.device.type, enabled=False):
            sums = sum_over_ranks(F.one_hot(indices, self.num_codes).to(x.dtype).T @ x)
        self.ema_count.lerp_(counts.to(x.dtype), 1.0 - self.decay)
        self.ema_sum.lerp_(sums, 1.0 - self.decay)
        mean = self.ema_sum / self.ema_count.clamp(min=torch.finfo(x.dtype).tiny)[:, None]
        # The averages of a code that is never chosen fade together, at last below precision.
        moved = torch.where(self.ema_count[:, None] > 1e-6, mean, self.codebook)

        dead = self.usage.dead_after(counts)[:, None]
        fresh = draw_misfits(x, (x - code).square().sum(1), self.num_codes)
        self.codebook.copy_(torch.where(dead, fresh, moved))
        self.ema_sum.copy_(torch.where(dead, fresh, self.ema_sum))
        self.ema_count.masked_fill_(dead[:, 0], 1.0)
        return dead.float().sum()


def _uniform_codes(num_codes: int, dim: int, bound: float | None) -> Float[Tensor, "codes dim"]:
    bound = 1.0 / num_codes if bound is None else bound
    return torch.empty(num_codes, dim).uniform_(-bound, bound)
