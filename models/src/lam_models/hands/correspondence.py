"""Where a hand's fingers are when the human's are somewhere: what retargeting sets off from.

Named slots give a posture: a joint stands where the human angle that it works like stands, as a
share of its range. Finger by finger, human tips become places near the hand's own: turned about
nothing, scaled by the ratio of the fingers' lengths and moved from the human finger's root to the
hand's. Hands whose fingers stand elsewhere than human ones are so not asked for what they cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lam_models.hands.human import (
    ANGLES,
    FINGERS,
    LOWER_RAD,
    UPPER_RAD,
    angles_from_points,
    mean_hand,
    within_ranges,
)
from lam_models.hands.kinematics import Kinematics
from lam_models.hands.spec import HandSpec

_ROOT_MOVES_M = 0.012  # A link that moves less than this carries a finger's root.


def slot_posture(
    spec: HandSpec, points: Float[np.ndarray, "poses 21 3"]
) -> Float[np.ndarray, "poses actuated"]:
    """Joints where the human angles of their slots are; those without one half way."""
    angles = within_ranges(angles_from_points(points))
    shares = (angles - LOWER_RAD) / (UPPER_RAD - LOWER_RAD)
    columns = []
    for name in spec.actuated:
        slot = spec.joints[name].slot
        if not slot:
            columns.append(np.full(len(points), 0.5))
            continue
        share = shares[:, ANGLES.index(slot.removeprefix("-"))]
        columns.append(1.0 - share if slot.startswith("-") else share)
    return spec.lower + np.stack(columns, axis=1) * (spec.upper - spec.lower)


@dataclass(frozen=True)
class Correspondence:
    """fingers: of the hand's tips, as indices of human.FINGERS. A human tip p of a finger belongs
    at scale * p + shift, in the palm frames.
    """

    fingers: tuple[int, ...]
    scale: Float[np.ndarray, " tips"]
    shift: Float[np.ndarray, "tips 3"]

    def places(self, tips: Float[np.ndarray, "*poses tips 3"]) -> Float[np.ndarray, "..."]:
        """Where the hand's tips belong for human tips (of the hand's fingers)."""
        return tips * self.scale[:, None] + self.shift


def correspondence(kinematics: Kinematics) -> Correspondence:
    """By the fingers' roots and lengths."""
    spec, human = kinematics.spec, mean_hand()
    fingers = [FINGERS.index(tip) for tip in spec.tips]
    roots, lengths = _fingers(kinematics)
    scale = lengths / human.segments_m.sum(axis=1)[fingers]
    return Correspondence(tuple(fingers), scale, roots - scale[:, None] * human.roots_m[fingers])


def _fingers(kinematics: Kinematics) -> tuple[np.ndarray, np.ndarray]:
    """Root [tips, 3] and length [tips] of each finger, along its links."""
    q = kinematics.spec.sample(64, 0)
    links, tips = kinematics.skeleton(q), kinematics.tips(q)
    moves = np.abs(links - links.mean(axis=0)).max(axis=(0, 2))
    roots, lengths = [], []
    for tip, link in enumerate(kinematics.carriers):
        length = np.linalg.norm(tips[0, tip] - links[0, link])
        while moves[link] > _ROOT_MOVES_M:
            above = kinematics.bones[link]
            length += np.linalg.norm(links[0, link] - links[0, above])
            link = above
        roots.append(links[:, link].mean(axis=0))
        lengths.append(length)
    return np.array(roots), np.array(lengths)
