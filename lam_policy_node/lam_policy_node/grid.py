"""When the next beat of a fixed rate is due. Time is an argument, on any one clock."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Grid:
    """Beats `period_ns` apart. A beat that was missed is dropped, and counted, never made up for.

    Beats stay on one grid however late each is noticed, so that the periods they stand for meet
    without a gap or an overlap.
    """

    period_ns: int
    missed: int = 0
    _next_ns: int | None = None

    def wait_s(self, now_ns: int) -> float:
        """Time until the next beat [s], 0.0 when it is due."""
        return 0.0 if self._next_ns is None else max(0, self._next_ns - now_ns) / 1e9

    def due(self, now_ns: int) -> int | None:
        """The instant of the beat that is due, once; None before its time."""
        turned_back = self._next_ns is not None and self._next_ns - now_ns > self.period_ns
        if self._next_ns is None or turned_back:
            self._next_ns = now_ns
        if now_ns < self._next_ns:
            return None
        skipped = (now_ns - self._next_ns) // self.period_ns
        self.missed += skipped
        beat_ns = self._next_ns + skipped * self.period_ns
        self._next_ns = beat_ns + self.period_ns
        return beat_ns

    def restart(self) -> None:
        """Begin a new grid at the next question."""
        self._next_ns = None
