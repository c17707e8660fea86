"""A space of one hand whose latents are its joints: the baseline that shares nothing.

A policy of such latents is a plain cloner of joint targets, trained, saved and run through the same
code as one of a shared space. Each joint is a point of a circle's arc, and all circles together a
point of the sphere. The networks are piecewise linear, close enough to sine and arcsine.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from lam_models.hands.space import Coder, HandSpace, Layers, founded, hand_modality
from lam_models.hands.spec import HandSpec

# Half of the arc: wide enough to be told apart, narrow enough for the arcsine to stay gentle.
_ARC_RAD = np.pi / 3
_KNOTS = 33

Values = Float[np.ndarray, " n"]


def joint_space(spec: HandSpec) -> HandSpace:
    """The space "joints/<hand>"; a joint's middle is the middle of its arc."""
    modality = hand_modality(spec)
    lower, upper = np.array(modality.lower), np.array(modality.upper)
    joints = len(lower)
    # An arc's point has length 1, that of all joints together sqrt(joints): the encoder's own
    # normalisation makes up for it, the decoder must know.
    length = float(np.sqrt(joints))
    encoder = _apart(
        joints, -1.0, 1.0, (lambda q: np.sin(_ARC_RAD * q), lambda q: np.cos(_ARC_RAD * q)), 1
    )
    reach = float(np.sin(_ARC_RAD)) / length
    decoder = _apart(joints, -reach, reach, (lambda sine: np.arcsin(length * sine) / _ARC_RAD,), 2)
    coder = Coder(
        modality,
        ((lower + upper) / 2.0).astype(np.float32),
        np.maximum((upper - lower) / 2.0, 1e-4).astype(np.float32),
        encoder,
        decoder,
    )
    coders = {spec.hand: coder}
    return HandSpace(founded(f"joints/{spec.hand}", 2 * joints, coders), coders)


def _apart(
    joints: int,
    low: float,
    high: float,
    functions: tuple[Callable[[Values], Values], ...],
    inputs: int,
) -> Layers:
    """Two layers that apply the functions to each joint, which is every `inputs`-th input."""
    knots = np.linspace(low, high, _KNOTS)
    hidden = joints * _KNOTS
    first = np.zeros((hidden, joints * inputs))
    bias = np.tile(-knots, joints)
    last = np.zeros((joints * len(functions), hidden))
    start = np.zeros(joints * len(functions))
    # The first unit is always on within the range: it carries the first slope.
    for i, function in enumerate(functions):
        values = function(knots)
        slopes = np.diff(values) / np.diff(knots)
        weights = np.concatenate([[slopes[0]], np.diff(slopes), [0.0]])
        for joint in range(joints):
            row = joint * len(functions) + i
            last[row, joint * _KNOTS : (joint + 1) * _KNOTS] = weights
            start[row] = values[0]
    for joint in range(joints):
        first[joint * _KNOTS : (joint + 1) * _KNOTS, joint * inputs] = 1.0
    return (
        (first.astype(np.float32), bias.astype(np.float32)),
        (last.astype(np.float32), start.astype(np.float32)),
    )
