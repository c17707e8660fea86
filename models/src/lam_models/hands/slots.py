"""Named slots: each joint stands where the human angle that it works like stands."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from lam_models.hands.human import (
    ANGLES,
    LOWER_RAD,
    UPPER_RAD,
    angles_from_points,
    within_ranges,
)
from lam_models.hands.spec import HandSpec


def slot_posture(
    spec: HandSpec, points: Float[np.ndarray, "poses 21 3"]
) -> Float[np.ndarray, "poses actuated"]:
    """As shares of the ranges; joints without a slot stand half way. rad or m."""
    angles = within_ranges(angles_from_points(points))
    shares = (angles - LOWER_RAD) / (UPPER_RAD - LOWER_RAD)
    columns = [_share(spec.joints[name].slot, shares) for name in spec.actuated]
    return spec.lower + np.stack(columns, axis=1) * (spec.upper - spec.lower)


def _share(slot: str, shares: Float[np.ndarray, "poses 21"]) -> Float[np.ndarray, " poses"]:
    if not slot:
        return np.full(len(shares), 0.5)
    share = shares[:, ANGLES.index(slot.removeprefix("-"))]
    return 1.0 - share if slot.startswith("-") else share
