"""A space of one hand whose latents are its joints: the baseline that shares nothing.

A policy of such latents is a plain cloner of joint targets, trained, saved and run through the same
code as one of a shared space.
"""

from __future__ import annotations

import numpy as np

from lam_models.hands.arcs import off_arcs, onto_arcs
from lam_models.hands.space import Coder, HandSpace, founded, hand_modality
from lam_models.hands.spec import HandSpec


def joint_space(spec: HandSpec) -> HandSpace:
    """The space "joints/<hand>"; a joint's middle is the middle of its arc."""
    joints = np.eye(len(spec.actuated))
    coder = middled(spec, joints, np.zeros(len(joints)), joints)
    coders = {spec.hand: coder}
    return HandSpace(founded(f"joints/{spec.hand}", 2 * len(joints), coders), coders)


def middled(spec: HandSpec, said: np.ndarray, unsaid: np.ndarray, heard: np.ndarray) -> Coder:
    """A coder of joints from -1 (lower limit) to 1: values are `said @ joints + unsaid`, and joints
    `heard @ values`."""
    modality = hand_modality(spec)
    lower, upper = np.array(modality.lower), np.array(modality.upper)
    center = ((lower + upper) / 2.0).astype(np.float32)
    scale = np.maximum((upper - lower) / 2.0, 1e-4).astype(np.float32)
    return Coder(modality, center, scale, onto_arcs(said, unsaid), off_arcs(heard))
