"""When a command may go out, and what commands cost. Times in ns of one clock."""

from __future__ import annotations

from collections import deque

import numpy as np

# Share of a period by which a fresh target may come early, and by which a command that only
# continues a motion waits for one: a stream at the driver's own rate then passes without delay.
PLAY = 0.2


class Gate:
    """Lets one command through a period on average."""

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._next_ns = 0

    @property
    def fill_ns(self) -> int:
        """How long after a command the next one goes out where no fresh target came."""
        return round((1.0 + PLAY) * self._period_ns)

    def opens(self, now_ns: int, fresh: bool) -> bool:
        """Whether a command may go out now; then it is taken to do so."""
        if self._next_ns > now_ns + 2 * self._period_ns:
            self._next_ns = now_ns  # The clock was set back.
        early_ns = round(PLAY * self._period_ns) if fresh else 0
        if now_ns < self._next_ns - early_ns:
            return False
        self._next_ns = max(now_ns, self._next_ns) + self._period_ns
        return True


class Durations:
    """The latest durations of one piece of work."""

    def __init__(self, count: int = 500) -> None:
        self._ns: deque[int] = deque(maxlen=count)

    def add(self, duration_ns: int) -> None:
        """Remember one."""
        self._ns.append(duration_ns)

    def percentile_us(self, percent: float) -> float:
        """Of those remembered, in microseconds; 0 before the first."""
        return float(np.percentile(self._ns, percent)) / 1000.0 if self._ns else 0.0
