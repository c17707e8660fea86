"""Motions as velocities, for MoveIt Servo and other takers of geometry_msgs/TwistStamped.

A velocity has no end of its own, so here it gets one: it is sent anew with fresh stamps for as long
as its motion lasts, then as zeros for a moment, then no more.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

# So that one lost message does not keep an arm going until the taker's own expiry.
_ZEROS = 3

Delta = Float64[np.ndarray, "6"]


def velocity_of(motion: Delta, duration_s: float) -> Delta:
    """Velocity [m/s, rad/s] of a motion [m, rad] over `duration_s`: the one division by dt."""
    return motion / duration_s


class Velocities:
    """What to send at each moment. `now_ns` is any one clock."""

    def __init__(self) -> None:
        self._velocity, self._until_ns = np.zeros(6), 0
        self._zeros_left = 0

    def command(self, motion: Delta, duration_s: float, now_ns: int) -> None:
        """A motion that begins now."""
        self._velocity = velocity_of(motion, duration_s)
        self._until_ns = now_ns + round(duration_s * 1e9)
        self._zeros_left = _ZEROS

    def stop(self) -> None:
        """Zeros from now on."""
        self._until_ns = 0

    def now(self, now_ns: int) -> Delta | None:
        """The velocity to send, None for silence."""
        if now_ns < self._until_ns:
            return self._velocity
        if not self._zeros_left:
            return None
        self._zeros_left -= 1
        return np.zeros(6)
