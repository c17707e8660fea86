"""How near a hand can bring its fingertips to its thumb."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lam_models.hands.kinematics import Kinematics

_STARTS, _STEPS = 24, 60
_DAMPING_M2 = 1e-5
_MET_M = 1e-4


@dataclass(frozen=True)
class Touch:
    """The posture found in which a finger is nearest to the thumb.

    at_m: the point midway between the two tips, in the palm frame.
    """

    finger: str
    gap_m: float
    q: Float[np.ndarray, " actuated"]
    at_m: Float[np.ndarray, "3"]


def nearest_touches(kinematics: Kinematics, seed: int = 0) -> tuple[Touch, ...]:
    """For every finger but the thumb, in the hand's order."""
    fingers = [finger for finger in kinematics.spec.tips if finger != "thumb"]
    return tuple(_nearest(kinematics, finger, seed) for finger in fingers)


def _nearest(kinematics: Kinematics, finger: str, seed: int) -> Touch:
    """Damped least squares within the limits, from several random postures; the best is kept."""
    spec = kinematics.spec
    pair = [spec.tips.index("thumb"), spec.tips.index(finger)]
    q = spec.sample(_STARTS, seed)
    best, best_gap_m = q[0], np.inf
    for _ in range(_STEPS):
        apart = _apart(kinematics.tips(q), pair)
        gaps_m = np.linalg.norm(apart, axis=-1)
        if gaps_m.min() < best_gap_m:
            best, best_gap_m = q[gaps_m.argmin()], gaps_m.min()
        if best_gap_m < _MET_M:
            break
        slope = _apart(kinematics.jacobian(q), pair)
        q = spec.clip(q - _damped_step(slope, apart))
    tips = kinematics.tips(best)[pair]
    return Touch(finger, float(best_gap_m), best, tips.mean(axis=0))


def _apart(of_tips: np.ndarray, pair: list[int]) -> np.ndarray:
    """Thumb's minus finger's, of places or of their derivatives."""
    thumb, finger = (of_tips[:, index] for index in pair)
    return thumb - finger


def _damped_step(
    slope: Float[np.ndarray, "poses 3 actuated"], miss: Float[np.ndarray, "poses 3"]
) -> Float[np.ndarray, "poses actuated"]:
    transposed = np.swapaxes(slope, -1, -2)
    square = slope @ transposed + _DAMPING_M2 * np.eye(3)
    return (transposed @ np.linalg.solve(square, miss[..., None]))[..., 0]
