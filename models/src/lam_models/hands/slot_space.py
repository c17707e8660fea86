"""A space whose latents are named joint slots: the baseline that shares names and learns nothing.

There is a slot for each human angle, from -1 to 1 as the angle grows over its range. A joint speaks
in the slot that its hand's file names, and listens to it; joints of one slot speak in their mean.
A gripper closes as a thumb and an index finger bend. In slots that a hand has no joint for it says
what the mean of the described postures has there; a joint without a slot stands half way.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lam_models.hands.human import ANGLES, LOWER_RAD, UPPER_RAD
from lam_models.hands.joint_space import middled
from lam_models.hands.kinematics import open_kinematics
from lam_models.hands.postures import synergies
from lam_models.hands.retarget import is_gripper
from lam_models.hands.space import HandSpace, founded
from lam_models.hands.spec import HandSpec

# The slots that a gripper speaks in.
GRIPPING = np.array(
    [name.startswith(("thumb_", "index_")) and name.endswith("_flexion") for name in ANGLES]
)


def slot_space(specs: Iterable[HandSpec]) -> HandSpace:
    """The space "slots" of these hands."""
    rest = np.clip(2.0 * (synergies()[0] - LOWER_RAD) / (UPPER_RAD - LOWER_RAD) - 1.0, -1.0, 1.0)
    coders = {}
    for spec in specs:
        slots = _slots(spec)
        spoken = np.abs(slots).sum(axis=1)
        said = slots / np.maximum(spoken, 1.0)[:, None]
        heard = slots.T / np.maximum(np.abs(slots).sum(axis=0), 1.0)[:, None]
        coders[spec.hand] = middled(spec, said, np.where(spoken > 0.0, 0.0, rest), heard)
    return HandSpace(founded("slots", 2 * len(ANGLES), coders), coders)


def _slots(spec: HandSpec) -> np.ndarray:
    """Which joint stands in which slot [angles, joints]: 1, or -1 where they run opposite."""
    slots = np.zeros((len(ANGLES), len(spec.actuated)))
    if is_gripper(spec):
        tips = open_kinematics(spec).tips(np.stack([spec.lower, spec.upper]))
        closed, opened = np.linalg.norm(tips[:, 0] - tips[:, 1], axis=-1)
        slots[GRIPPING] = -1.0 if opened > closed else 1.0
        return slots
    for column, joint in enumerate(spec.actuated):
        if slot := spec.joints[joint].slot:
            slots[ANGLES.index(slot.removeprefix("-")), column] = -1.0 if slot[0] == "-" else 1.0
    return slots
