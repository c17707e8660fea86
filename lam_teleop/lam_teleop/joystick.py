"""A gamepad as a person's input: nothing moves unless the deadman button is held.

The button must be seen released once before it counts, at the start and after the gamepad was gone:
one that is stuck, or lies under something, commands nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lam_teleop.pulse import IDLE, Wish

NONE = -1
_AXES = ("x", "y", "z", "roll", "pitch", "yaw")


@dataclass(frozen=True)
class Layout:
    """Which axis or button does what, by its number in the Joy message; -1: none.

    axes: x, y, z, roll, pitch, yaw. signs: 1 or -1 for each. timeout_ns: a gamepad that was silent
    for longer is gone.
    """

    deadman: int
    axes: tuple[int, ...]
    signs: tuple[int, ...] = (1, 1, 1, 1, 1, 1)
    close: int = NONE
    open: int = NONE
    deadzone: float = 0.1
    max_speed_m_s: float = 0.2
    max_turn_rad_s: float = 0.8
    closing_per_s: float = 1.0
    timeout_ns: int = 250_000_000


@dataclass
class Joystick:
    """The newest state of a gamepad. fault: what is wrong with it, "" where nothing is."""

    layout: Layout
    fault: str = ""
    _wish: Wish = field(default=IDLE)
    _heard_ns: int | None = None
    _armed: bool = False

    def hear(self, axes: Sequence[float], buttons: Sequence[int], now_ns: int) -> None:
        """Take a message of the gamepad."""
        if self._silent(now_ns):
            self._armed = False
        self._heard_ns = now_ns
        self.fault = self._fault(axes, buttons)
        if self.fault:
            self._wish, self._armed = IDLE, False
            return
        pressed = bool(buttons[self.layout.deadman])
        self._armed |= not pressed
        self._wish = self._asked(axes, buttons) if pressed and self._armed else IDLE

    def wish(self, now_ns: int) -> Wish:
        """What is asked for now: nothing by a gamepad that is gone."""
        return IDLE if self._silent(now_ns) else self._wish

    def state(self, now_ns: int) -> tuple[str, bool]:
        """In words, and whether the gamepad works."""
        if self._silent(now_ns):
            return "no gamepad", False
        if self.fault:
            return f"commands nothing: {self.fault}", False
        return ("commanding" if self._wish.live else "deadman released"), True

    def _silent(self, now_ns: int) -> bool:
        if self._heard_ns is None:
            return True
        # A clock that turned back says nothing of how old it is.
        return not 0 <= now_ns - self._heard_ns <= self.layout.timeout_ns

    def _fault(self, axes: Sequence[float], buttons: Sequence[int]) -> str:
        layout = self.layout
        wanted = (("deadman", layout.deadman), ("close", layout.close), ("open", layout.open))
        for name, at in wanted:
            if at >= len(buttons):
                return f"button {at} ({name}) is none of the gamepad's {len(buttons)}"
        for name, at in zip(_AXES, layout.axes, strict=True):
            if at >= len(axes):
                return f"axis {at} ({name}) is none of the gamepad's {len(axes)}"
        if not all(map(math.isfinite, axes)):
            return "an axis is not a finite number"
        return ""

    def _asked(self, axes: Sequence[float], buttons: Sequence[int]) -> Wish:
        layout = self.layout
        shares = [
            0.0 if at == NONE else sign * _past(axes[at], layout.deadzone)
            for at, sign in zip(layout.axes, layout.signs, strict=True)
        ]
        speeds = np.repeat([layout.max_speed_m_s, layout.max_turn_rad_s], 3)
        pressed = [at != NONE and bool(buttons[at]) for at in (layout.close, layout.open)]
        closing = layout.closing_per_s * (pressed[0] - pressed[1])
        return Wish(True, np.array(shares) * speeds, closing)


def _past(value: float, deadzone: float) -> float:
    """An axis from -1 to 1 without the part around its middle, steady at the edge."""
    size = min(1.0, abs(value))
    return math.copysign(max(0.0, size - deadzone) / (1.0 - deadzone), value)
