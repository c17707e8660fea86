"""Named slots: each joint stands where the human angle that it works like stands."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from lam_models.hands.human import ANGLES, LOWER_RAD, UPPER_RAD, angles_from_points
from lam_models.hands.spec import HandSpec


class NamedSlots:
    """The postures of one hand, as shares of the ranges; joints without a slot stand half way."""

    def __init__(self, spec: HandSpec) -> None:
        slots = [spec.joints[name].slot for name in spec.actuated]
        named = [slot.removeprefix("-") or ANGLES[0] for slot in slots]
        self._take = np.array([ANGLES.index(name) for name in named])
        slope = np.array([{"": 0.0, "-": -1.0}.get(slot[:1], 1.0) for slot in slots])
        start = np.array([{"": 0.5, "-": 1.0}.get(slot[:1], 0.0) for slot in slots])
        wide = spec.upper - spec.lower
        self._zero, self._wide = spec.lower + start * wide, slope * wide

    def posture(
        self, points: Float[np.ndarray, "poses 21 3"]
    ) -> Float[np.ndarray, "poses actuated"]:
        """Joints [rad or m] where the human angles of their slots are."""
        angles = (angles_from_points(points) - LOWER_RAD) / (UPPER_RAD - LOWER_RAD)
        shares = np.minimum(np.maximum(angles[:, self._take], 0.0), 1.0)
        return self._zero + self._wide * shares
