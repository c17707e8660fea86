"""Conditions that must last."""

from __future__ import annotations


class Dwell:
    """True once a condition has held for `hold_s` without a break.

    Counts the truth's own time, so it means the same at any rate at which it is asked, and asking
    twice about one instant changes nothing.
    """

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._since_s: float | None = None

    def held(self, condition: bool, time_s: float) -> bool:
        """Note the condition at `time_s` [s]; whether it has held long enough by now."""
        if not condition:
            self._since_s = None
            return False
        if self._since_s is None:
            self._since_s = time_s
        return time_s - self._since_s >= self._hold_s - 1e-9
