"""Actions that a network read from video, beside a dataset: VPT's pseudo-labels, row for row.

They lie in <dataset>/pseudo_actions/actions_<hand space>-<hash>/, in files as data/latents.py says.
A row holds the action of the step that begins at it, as policies learn it: the end-effector delta
(translation m, rotation vector rad, base axes), then the hand latent.
"""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Float32, Int64

from lam_models.command import UserError
from lam_models.data.cache import FrameCache
from lam_models.data.latents import Latents
from lam_models.data.lerobot_layout import PSEUDO_ACTIONS
from lam_models.data.lerobot_read import Dataset
from lam_models.types import LatentSpec

DELTA = 6


def pseudo_space(hand: LatentSpec, dt_s: float, weights_hash: str) -> LatentSpec:
    """Names the actions that one network reads, of steps of dt_s, in one space of hands."""
    numbers = (1, DELTA + hand.shape[0] * hand.shape[1])
    hashed = hashlib.sha256(f"{hand.space_hash} {weights_hash}".encode()).hexdigest()
    return LatentSpec(_name(hand), "motion", numbers, gap_s=dt_s, weights_hash=hashed)


def pseudo_actions(
    dataset: Dataset, cache: FrameCache, name: str, hand: LatentSpec, dt_s: float
) -> Float32[np.ndarray, "rows numbers"]:
    """In the order of the cache's rows. name: of those beside the dataset, "" for the only ones.

    UserError where they are of other steps or of another space of hands.
    """
    found = Latents.open(dataset, name or None, PSEUDO_ACTIONS)
    if found.space.name != _name(hand) or abs(found.space.gap_s - dt_s) > 1e-9:
        raise UserError(
            f"{found.path} holds steps of {found.space.gap_s:g} s in {found.space.name}; wanted "
            f"are steps of {dt_s:g} s in {_name(hand)}"
        )
    return found.rows.values[dataset_rows(dataset, cache), 0]


def dataset_rows(dataset: Dataset, cache: FrameCache) -> Int64[np.ndarray, " rows"]:
    """The dataset's row of each row of the cache, which may lack episodes."""
    starts = {one.index: one.start for one in dataset.episodes}
    rows = [starts[one.index] + np.arange(one.length) for one in cache.episodes]
    return np.concatenate(rows) if rows else np.zeros(0, np.int64)


def _name(hand: LatentSpec) -> str:
    return f"actions_{hand.space_hash}"
