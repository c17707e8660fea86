"""Which episodes are kept for validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

from lam_models.command import UserError

Episodes = Int64[np.ndarray, " _"]


def split_episodes(
    episodes: int | Sequence[str], validation: float = 0.1, seed: int = 0
) -> tuple[Episodes, Episodes]:
    """Positions of the episodes for training and of those for validation, each in order.

    episodes: how many, or the instruction of each: then every instruction gives its share, as far
        as whole episodes allow.
    validation: share kept; above 0, at least one is kept and at least one remains.
    """
    words = [""] * episodes if isinstance(episodes, int) else list(episodes)
    count = len(words)
    if not 0.0 <= validation < 1.0:
        raise UserError(f"validation {validation:g}: a share from 0 to below 1")
    everything = np.arange(count)
    if validation == 0.0:
        return everything, everything[:0]
    if count < 2:
        raise UserError(f"{count} episode cannot be split: keep none for validation (share 0)")
    kept = min(max(round(validation * count), 1), count - 1)
    chosen = np.argsort(_places(words, seed), kind="stable")[:kept]
    return np.setdiff1d(everything, chosen), np.sort(chosen)


def _places(words: Sequence[str], seed: int) -> Float64[np.ndarray, " episodes"]:
    """A number in [0, 1) an episode: random, and evenly spread within each instruction.

    So the episodes below any threshold are the same share of every instruction.
    """
    random = np.random.default_rng(seed)
    _, kinds = np.unique(np.asarray(words), return_inverse=True)
    out = np.empty(len(words))
    for kind in range(kinds.max() + 1):
        members = random.permutation(np.flatnonzero(kinds == kind))
        out[members] = (np.arange(len(members)) + random.random()) / len(members)
    return out


def evenly_spread(count: int, wanted: int) -> Episodes:
    """Positions of `wanted` of `count` episodes, from the first to the last; 0 takes all."""
    if not 0 < wanted < count:
        return np.arange(count)
    return np.linspace(0, count - 1, wanted).round().astype(np.int64)
