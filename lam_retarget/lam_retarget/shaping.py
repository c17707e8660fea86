"""Brings a hand to its target within limits of position, speed and acceleration.

In one step of dt a joint with speed v travels v * dt, and needs at most v^2 / 2a more to stop,
however short the steps to come are. The fastest v for which both together do not pass the target,

    v * dt + v^2 / 2a = distance,

so never overshoots a target that rests, and as every target lies within the limits no joint ever
passes those, even when the target jumps behind it. What is left shrinks quadratically at the end;
below SNAP the target is taken.

Radians or metres, seconds; arrays run over the hand's actuated joints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lam_models.hands.spec import HandSpec

SNAP = 1e-9

Joints = Float[np.ndarray, " actuated"]


@dataclass(frozen=True)
class Pace:
    """What the joints may do."""

    lower: Joints
    upper: Joints
    max_speed: Joints
    max_acceleration: Joints


def pace_of(spec: HandSpec, scale: float = 1.0) -> Pace:
    """Of a hand, with `scale` of its speed and acceleration."""
    speed, acceleration = scale * spec.max_speed, scale * spec.max_acceleration
    return Pace(spec.lower, spec.upper, speed, acceleration)


@dataclass(frozen=True)
class Motion:
    """Where the joints have been sent, and how fast they go there."""

    q: Joints
    speed: Joints

    @property
    def rests(self) -> bool:
        return not self.speed.any()


def resting(q: Joints, pace: Pace) -> Motion:
    """Without speed at q, or at the nearest position within the limits."""
    q = np.clip(q, pace.lower, pace.upper)
    return Motion(q, np.zeros_like(q))


def follow(motion: Motion, target: Joints, pace: Pace, dt_s: float) -> Motion:
    """The motion one step later, as near to the target as it may be."""
    target = np.clip(target, pace.lower, pace.upper)
    a, gain = pace.max_acceleration, pace.max_acceleration * dt_s
    left = target - motion.q
    reach = 2.0 * a * np.abs(left)
    # The root of the law above, written so that short distances lose no digits.
    wanted = reach / (np.sqrt(gain**2 + reach) + gain + np.finfo(float).tiny)
    wanted = np.copysign(np.minimum(wanted, pace.max_speed), left)
    speed = np.clip(wanted, motion.speed - gain, motion.speed + gain)
    q = motion.q + speed * dt_s
    there = (np.abs(target - q) <= SNAP) & (speed**2 <= 2.0 * a * SNAP)
    q, speed = np.where(there, target, q), np.where(there, 0.0, speed)
    return Motion(np.clip(q, pace.lower, pace.upper), speed)


def stopping_point(motion: Motion, pace: Pace) -> Joints:
    """Where the joints come to rest when they brake from now on."""
    q = motion.q + motion.speed * np.abs(motion.speed) / (2.0 * pace.max_acceleration)
    return np.clip(q, pace.lower, pace.upper)
