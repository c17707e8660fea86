"""What an input says a beat: motions while a person commands, then one zero, then silence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

Velocity = Float64[np.ndarray, "6"]
STILL = np.zeros(6)


@dataclass(frozen=True)
class Wish:
    """What a person asks for now. live: whether they command at all (a deadman, a key).

    velocity: m/s, then rad/s, in the axes of the frame of the input. closing: of the grip, 1/s.
    """

    live: bool
    velocity: Velocity
    closing: float = 0.0


IDLE = Wish(False, STILL)


@dataclass
class Pulse:
    """Turns wishes into motions over a period."""

    period_s: float
    _live: bool = False

    def beat(self, wish: Wish) -> Velocity | None:
        """The motion [m, rad] over the coming period; None: nothing goes out."""
        was_live, self._live = self._live, wish.live
        if wish.live:
            return wish.velocity * self.period_s
        return STILL if was_live else None


def faster(levels: tuple[float, ...], level: int, by: int) -> int:
    """The number of another speed level, within those that there are."""
    return min(len(levels) - 1, max(0, level + by))
