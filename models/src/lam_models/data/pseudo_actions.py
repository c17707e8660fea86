"""Actions and poses that a network read from video, beside a dataset: VPT's pseudo-labels.

They lie in <dataset>/pseudo_actions/actions_poses_<hand space>-<hash>/, row for row, in files as
data/latents.py says. A row holds the action of the step that begins at it, as policies learn it:
the end-effector delta (translation m, rotation vector rad, base axes). Then the pose of the end
effector at the row: position m, two columns of the rotation; all zeros where the network tells no
poses. Then the hand latent of the action.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from lam_models.command import UserError
from lam_models.data.cache import FrameCache
from lam_models.data.latents import Latents
from lam_models.data.lerobot_layout import PSEUDO_ACTIONS
from lam_models.data.lerobot_read import Dataset
from lam_models.types import LatentSpec

DELTA, POSE = 6, 9


@dataclass(frozen=True)
class PseudoActions:
    """actions: delta, then hand latent. poses: features, None where the network tells none."""

    actions: Float32[np.ndarray, "rows numbers"]
    poses: Float32[np.ndarray, "rows 9"] | None

    def rows(self) -> Float32[np.ndarray, "rows more"]:
        """As they are written."""
        poses = self.poses
        if poses is None:
            poses = np.zeros((len(self.actions), POSE), np.float32)
        return np.concatenate([self.actions[:, :DELTA], poses, self.actions[:, DELTA:]], axis=1)

    @classmethod
    def of_rows(cls, rows: Float32[np.ndarray, "rows more"]) -> PseudoActions:
        """As they were before."""
        delta, poses, hand = np.split(rows, [DELTA, DELTA + POSE], axis=1)
        return cls(np.concatenate([delta, hand], axis=1), poses if poses.any() else None)


def pseudo_space(hand: LatentSpec, dt_s: float, weights_hash: str) -> LatentSpec:
    """Names the actions that one network reads, of steps of dt_s, in one space of hands."""
    numbers = (1, DELTA + POSE + hand.shape[0] * hand.shape[1])
    hashed = hashlib.sha256(f"{hand.space_hash} {weights_hash}".encode()).hexdigest()
    return LatentSpec(_name(hand), "motion", numbers, gap_s=dt_s, weights_hash=hashed)


def pseudo_actions(
    dataset: Dataset, cache: FrameCache, name: str, hand: LatentSpec, dt_s: float
) -> PseudoActions:
    """In the order of the cache's rows. name: of those beside the dataset, "" for the only ones.

    UserError where they are of other steps or of another space of hands, or lack poses' place.
    """
    found = Latents.open(dataset, name or None, PSEUDO_ACTIONS)
    if found.space.name != _name(hand) or abs(found.space.gap_s - dt_s) > 1e-9:
        raise UserError(
            f"{found.path} holds steps of {found.space.gap_s:g} s in {found.space.name}; wanted "
            f"are steps of {dt_s:g} s in {_name(hand)}, which lam label-actions writes"
        )
    return PseudoActions.of_rows(found.rows.values[dataset_rows(dataset, cache), 0])


def dataset_rows(dataset: Dataset, cache: FrameCache) -> Int64[np.ndarray, " rows"]:
    """The dataset's row of each row of the cache, which may lack episodes."""
    starts = {one.index: one.start for one in dataset.episodes}
    rows = [starts[one.index] + np.arange(one.length) for one in cache.episodes]
    return np.concatenate(rows) if rows else np.zeros(0, np.int64)


def _name(hand: LatentSpec) -> str:
    return f"actions_poses_{hand.space_hash}"
