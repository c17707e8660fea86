"""A task with several right answers, for judging read-outs: reach around an obstacle and grasp.

The hand passes on the left or on the right, whichever the obstacle leaves free, and takes the thing
between thumb and index or in the whole hand, whichever its size allows: one, two or four ways, all
equally good. Wrist deltas are drawn by hand; the hand's latents are poses of the human hand model
on its way from a relaxed posture to the grasp, encoded by the shipped space or, before there is
one, by a random network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lam_models.hands.human import mean_hand
from lam_models.hands.poses import Poses, cylinders, pinches
from lam_models.hands.postures import POSTURES
from lam_models.hands.space import HUMAN, SHIPPED, human_vector, open_space

STEPS, LATENT, CONDITION = 16, 16, 64
SIZES_M = np.linspace(0.02, 0.06, 9)
SMALL_M, LARGE_M = 0.033, 0.047  # Below, only a pinch will do; above, only the whole hand.
FREE = 0.33  # Obstacles nearer to the middle than this leave both sides free.
_FORWARD_M, _ASIDE_M, _YAW_RAD = 0.2, 0.07, 0.6


@dataclass(frozen=True)
class Drawn:
    """ways: 0 to 3, of each chunk: the side, and the grasp."""

    condition: Float[Tensor, "count width"]
    chunks: Float[Tensor, "count steps numbers"]
    ways: Int64[Tensor, " count"]


class Task:
    """Everything is a pure function of the seeds."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.trained = SHIPPED.exists()
        if self.trained:
            self.encode = open_space().coder(HUMAN).encode
        else:
            still = human_vector(mean_hand().points(POSTURES["relaxed"]))
            first, second = rng.normal(size=(60, 64)) / 0.2, rng.normal(size=(64, LATENT))
            self.encode = lambda vectors: _unit(np.tanh((vectors - still) @ first + 0.5) @ second)
        self.features = rng.normal(size=(2, CONDITION // 2)) * 2.0
        hand = mean_hand()
        self.grasps = np.stack(
            [
                [
                    _easiest(make(hand, 24, seed=i, **{size: SIZES_M[i]}))
                    for i in range(len(SIZES_M))
                ]
                for make, size in ((pinches, "gap_m"), (cylinders, "diameter_m"))
            ]
        )

    def observations(self, count: int, seed: int) -> Float[np.ndarray, "count 2"]:
        """Where the obstacle is, -1 (left) to 1; which of SIZES_M the thing has."""
        rng = np.random.default_rng([seed, 1])
        sizes = rng.integers(len(SIZES_M), size=count)
        return np.stack([rng.uniform(-1, 1, count), sizes], axis=1)

    def draw(self, observations: Float[np.ndarray, "count 2"], seed: int) -> Drawn:
        """One of the right answers to each observation."""
        rng = np.random.default_rng([seed, 2])
        place, size = observations[:, 0], observations[:, 1].astype(int)
        side = np.where(np.abs(place) < FREE, rng.choice((-1, 1), len(place)), np.sign(-place))
        both = (SIZES_M[size] > SMALL_M) & (SIZES_M[size] < LARGE_M)
        whole = np.where(both, rng.random(len(place)) < 0.5, SIZES_M[size] >= LARGE_M).astype(int)
        latents = self._latents(whole, size, rng)
        chunks = np.concatenate([_wrist(side, rng), latents], axis=-1)
        ways = (side > 0) * 2 + whole
        seen = np.stack([place, size / len(SIZES_M) * 2.0 - 1.0], axis=1) @ self.features
        condition = np.concatenate([np.sin(seen), np.cos(seen)], axis=1)
        return Drawn(
            torch.from_numpy(condition).float(),
            torch.from_numpy(chunks).float(),
            torch.from_numpy(ways).long(),
        )

    def _latents(
        self, whole: np.ndarray, size: np.ndarray, rng: np.random.Generator
    ) -> Float[np.ndarray, "count steps dim"]:
        """From the relaxed hand to the grasp, which begins at an instant of its own."""
        begins = rng.uniform(0.2, 0.4, (len(size), 1))
        share = np.clip((np.arange(1, STEPS + 1) / STEPS - begins) / 0.5, 0.0, 1.0)[..., None]
        share = share * share * (3.0 - 2.0 * share)
        angles = (1.0 - share) * POSTURES["relaxed"] + share * self.grasps[whole, size][:, None]
        return self.encode(human_vector(mean_hand().points(angles)))


def _easiest(poses: Poses) -> Float[np.ndarray, "21"]:
    """The pose nearest to the relaxed hand."""
    return poses.angles[np.abs(poses.angles - POSTURES["relaxed"]).sum(1).argmin()]


def _wrist(side: np.ndarray, rng: np.random.Generator) -> Float[np.ndarray, "count steps 6"]:
    """Deltas along an arc to one side that ends straight ahead, its width a little by chance."""
    at = np.linspace(0.0, 1.0, STEPS + 1)
    aside_m = _ASIDE_M * side[:, None] * rng.uniform(0.85, 1.15, (len(side), 1))
    path = np.zeros((len(side), STEPS + 1, 6))
    path[..., 0] = _FORWARD_M * at * rng.uniform(0.9, 1.1, (len(side), 1))
    path[..., 1] = aside_m * np.sin(np.pi * at)
    path[..., 5] = aside_m / _ASIDE_M * _YAW_RAD * np.sin(np.pi * at)
    return np.diff(path, axis=1)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)
