"""Whether the two places that an instruction speaks of are one, and which two cells win then.

"Go to the can" speaks of one place, "put it into the bowl" of two. Places are voted for one by one
(places.py); where two things look alike, one place may be won by the one and the other place by the
other. What the words say of both settles it.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from lam_models.policy.inputs import BUCKETS

SPREAD_M = 0.02  # Of a vote, along each axis.
# Things stand farther apart.
_ONE_PLACE_M = 0.04
# Of each place so many cells are considered.
_CELLS = 32
# Greatest say of the words, as a logit: pictures can overrule them.
_MOST = 4.0


class Together(nn.Module):
    """An instruction to the logit of that its two places are one: a plain sum of words."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(BUCKETS + 1, 1, padding_idx=0)
        nn.init.zeros_(self.words.weight)

    def forward(self, words: Int64[Tensor, "batch words hashes"]) -> Float[Tensor, " batch"]:
        return self.words(words).sum((1, 2, 3)).float()

    def loss(
        self,
        logits: Float[Tensor, " batch"],
        wanted: Float[Tensor, "batch 2 9"],
        known: Bool[Tensor, "batch 2"],
    ) -> Float[Tensor, ""]:
        """Cross entropy, of the rows of which both places are known."""
        one = (wanted[:, 0, :2] - wanted[:, 1, :2]).norm(dim=-1) < _ONE_PLACE_M
        each = functional.binary_cross_entropy_with_logits(logits, one.float(), reduction="none")
        weights = known.all(1).float()
        return (each * weights).sum() / weights.sum().clamp_min(1.0)


def best_cells(
    chances: Float[Tensor, "batch 2 cells"],
    spots_m: Float[Tensor, "batch 2 cells 2"],
    together: Float[Tensor, " batch"],
) -> Int64[Tensor, "batch 2"]:
    """The likeliest pair. chances: logarithms. together: logits of that both are for one place.

    How likely a cell's spot is, all votes about it say: so it is in training, too.
    """
    cells = chances.topk(min(_CELLS, chances.shape[-1]), dim=-1).indices
    spots = spots_m.take_along_dim(cells[..., None], 2)
    aside_m = (spots[:, :, :, None] - spots_m[:, :, None]).abs().sum(-1)
    votes = torch.logsumexp(chances[:, :, None] - aside_m / SPREAD_M, dim=-1)
    apart_m = (spots[:, 0, :, None] - spots[:, 1, None]).norm(dim=-1)
    said = together.clamp(-_MOST, _MOST)[:, None, None]
    words = functional.logsigmoid(torch.where(apart_m < _ONE_PLACE_M, said, -said))
    likely = votes[:, 0, :, None] + votes[:, 1, None] + words
    best = likely.flatten(1).argmax(-1)
    rows = torch.stack([best // likely.shape[-1], best % likely.shape[-1]], dim=1)
    return cells.take_along_dim(rows[..., None], 2)[..., 0]
