"""A keyboard as a person's input: which keys do what, and when a key counts as released.

A terminal tells of presses only. A key that is held repeats: after the first press there is a
pause of about half a second, then a press every 30 ms or so. Hence a first press is a nudge of
`nudge_ns`; from the second on a key counts as held until no press came for somewhat longer than
the last gap.
One key at a time: terminals repeat the one that was pressed last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np

from lam_teleop.pulse import STILL, Velocity, Wish, faster

NS_PER_S = 1_000_000_000
_AXES = ("x", "y", "z", "roll", "pitch", "yaw")
MOVES = {
    "w": (0, 1),
    "s": (0, -1),
    "a": (1, 1),
    "d": (1, -1),
    "r": (2, 1),
    "f": (2, -1),
    "u": (3, 1),
    "o": (3, -1),
    "i": (4, 1),
    "k": (4, -1),
    "j": (5, 1),
    "l": (5, -1),
}
GRIPS = {"c": 1.0, "v": -1.0}
PACES = {"+": 1, "=": 1, "-": -1}
HOLD, HELP, QUIT = " ", "h", "q"
_ARROWS = {"A": "w", "B": "s", "C": "d", "D": "a"}
_SEQUENCE = re.compile(r"\x1b[\[O]([0-9;]*)([A-Za-z~])")

HELP_TEXT = """\
  w s  x + -     r f  z + -     i k  pitch + -    c v  close, open the hand
  a d  y + -     u o  roll + -  j l  yaw + -      + -  faster, slower
  space  hold still and keep everybody else off, until the next key
  h  these lines    q  quit
  Tap a key for a nudge, hold it to go on; let go and the arm stops.
"""


def keys_of(text: str) -> str:
    """What was typed, arrow keys as the letters that they stand for, other sequences left out."""
    text = _SEQUENCE.sub(lambda found: "" if found[1] else _ARROWS.get(found[2], ""), text)
    return text.replace("\x1b", "")


@dataclass(frozen=True)
class Feel:
    """levels: shares of the greatest speeds. grip_step: share of the way that a press closes.

    most_gap_ns: presses of one key further apart are taps.
    """

    max_speed_m_s: float = 0.2
    max_turn_rad_s: float = 0.8
    levels: tuple[float, ...] = (0.1, 0.2, 0.4, 0.7, 1.0)
    level: int = 2
    grip_step: float = 0.05
    nudge_ns: int = 100_000_000
    least_hold_ns: int = 50_000_000
    most_hold_ns: int = 120_000_000
    most_gap_ns: int = 750_000_000
    grip_live_ns: int = NS_PER_S


@dataclass
class Keyboard:
    """What the keys ask for. `now_ns` is a clock that never turns back."""

    feel: Feel = field(default_factory=Feel)
    quit: bool = False
    holding: bool = False
    # Asked for and not yet given out: a share to close by, and the help.
    grip_by: float = 0.0
    help: bool = False
    _level: int = field(init=False)
    _key: str = ""
    _pressed_ns: int = 0
    _until_ns: int = 0
    _grip_until_ns: int = 0

    def __post_init__(self) -> None:
        self._level = self.feel.level

    def press(self, typed: str, now_ns: int) -> None:
        """Take what came from the terminal; unknown keys do nothing."""
        for key in keys_of(typed):
            self._press(key, now_ns)

    def _press(self, key: str, now_ns: int) -> None:
        if key in MOVES:
            self.holding = False
            self._until_ns = now_ns + self._hold_ns(key, now_ns)
            self._key, self._pressed_ns = key, now_ns
        elif key in GRIPS:
            self.holding = False
            self.grip_by += GRIPS[key] * self.feel.grip_step
            self._grip_until_ns = now_ns + self.feel.grip_live_ns
        elif key == HOLD:
            self.holding, self._key = not self.holding, ""
            self._grip_until_ns = now_ns
        elif key in PACES:
            self._level = faster(self.feel.levels, self._level, PACES[key])
        self.help |= key == HELP
        self.quit |= key == QUIT

    def _hold_ns(self, key: str, now_ns: int) -> int:
        """For how long a press moves the arm."""
        gap_ns = now_ns - self._pressed_ns
        if key != self._key or gap_ns > self.feel.most_gap_ns:
            return self.feel.nudge_ns
        return min(self.feel.most_hold_ns, max(self.feel.least_hold_ns, 9 * gap_ns // 5))

    @property
    def share(self) -> float:
        """Of the greatest speeds."""
        return self.feel.levels[self._level]

    def moving(self, now_ns: int) -> bool:
        """Whether a motion key counts as held."""
        return bool(self._key) and now_ns < self._until_ns

    def wish(self, now_ns: int) -> Wish:
        """What is asked for now. A hand that is being closed keeps the arm, too."""
        closing = now_ns < self._grip_until_ns
        live = self.holding or self.moving(now_ns) or closing
        return Wish(live, self._velocity() if self.moving(now_ns) else STILL)

    def _velocity(self) -> Velocity:
        axis, sign = MOVES[self._key]
        speed = self.feel.max_speed_m_s if axis < 3 else self.feel.max_turn_rad_s
        velocity = np.zeros(6)
        velocity[axis] = sign * speed * self.share
        return velocity

    def status(self, now_ns: int, grip: float | None) -> str:
        """One line for the terminal."""
        speed = f"{1e3 * self.share * self.feel.max_speed_m_s:.0f} mm/s"
        closed = "hand as it is" if grip is None else f"hand {100 * grip:.0f} % closed"
        doing = "holding still" if self.holding else "released"
        if self.moving(now_ns):
            axis, sign = MOVES[self._key]
            doing = f"{_AXES[axis]} {'+' if sign > 0 else '-'}"
        return f"{doing:13} | {speed:>8} | {closed}"
