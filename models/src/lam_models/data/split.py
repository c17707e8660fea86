"""Which episodes are trained on and which are kept for validation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64


def split_episodes(
    episodes: int | Sequence[str], validation: float = 0.1, seed: int = 0
) -> tuple[Int64[np.ndarray, " train"], Int64[np.ndarray, " validation"]]:
    """Numbers of the episodes of each part, ascending.

    episodes: how many, or the instruction of each: then each instruction gives about its share.
    validation: share kept. Above 0, and with two episodes or more, neither part is empty.
    """
    kinds = [""] * episodes if isinstance(episodes, int) else list(episodes)
    if validation == 0 or len(kinds) < 2:
        return np.arange(len(kinds)), np.arange(0)
    rng = np.random.default_rng([seed, len(kinds)])
    order = rng.permutation(len(kinds))
    # Episodes of one kind in a row, in random order: every n-th of the row is an even share of all.
    first_seen = {kind: i for i, kind in enumerate(dict.fromkeys(kinds))}
    order = order[np.argsort([first_seen[kinds[i]] for i in order], kind="stable")]
    count = min(max(1, round(validation * len(kinds))), len(kinds) - 1)
    picked = np.floor((np.arange(count) + rng.random()) * len(kinds) / count).astype(np.int64)
    held = np.sort(order[picked])
    return np.setdiff1d(np.arange(len(kinds)), held), held
