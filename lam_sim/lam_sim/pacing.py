"""When a real-time loop acts: ticks against a clock, streams against ticks. No ROS, no clock read.

Every function gets the present time [ns]; simulated time is counted in whole ticks, so the same
ticks always carry the same simulated stamps however late the machine ran them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

NS_PER_S = 1_000_000_000

Item = TypeVar("Item")


@dataclass
class Pacer:
    """Says when the next tick of `period_ns` simulated time is due.

    factor: simulated seconds a wall second; 0 runs as fast as the machine can.
    slack_ns: how far the loop may lag and still catch up by running ticks back to back. A longer
        lag is dropped (and counted), so that a stall is followed by normal speed, not by a burst.
    """

    period_ns: int
    factor: float = 1.0
    slack_ns: int = 100_000_000
    overruns: int = 0
    _due_ns: int | None = None

    def __post_init__(self) -> None:
        if self.period_ns <= 0 or self.factor < 0.0:
            raise ValueError(f"period {self.period_ns} ns must be > 0, factor {self.factor} >= 0")

    @property
    def _wall_period_ns(self) -> int:
        return round(self.period_ns / self.factor) if self.factor else 0

    def wait_s(self, now_ns: int) -> float:
        """Time until the next tick [s], 0.0 when it is due."""
        if self._due_ns is None or not self.factor:
            return 0.0
        return max(0, self._due_ns - now_ns) / NS_PER_S

    def start_tick(self, now_ns: int) -> None:
        """Note that a tick begins and schedule the one after it."""
        due_ns = now_ns if self._due_ns is None or not self.factor else self._due_ns
        if now_ns - due_ns > self.slack_ns:
            self.overruns += 1
            due_ns = now_ns
        self._due_ns = due_ns + self._wall_period_ns


@dataclass
class Stream:
    """A stream of `rate_hz` samples drawn from ticks: due on the first tick at or after each beat.

    A rate that does not divide the tick rate is kept on average; a rate of 0 is never due.
    """

    rate_hz: float
    _next_ns: int | None = None

    def due(self, sim_ns: int) -> bool:
        """True once per beat; call at every tick with its simulated time."""
        if self.rate_hz <= 0.0:
            return False
        if self._next_ns is None:
            self._next_ns = sim_ns
        if sim_ns < self._next_ns:
            return False
        period_ns = round(NS_PER_S / self.rate_hz)
        beats = (sim_ns - self._next_ns) // period_ns + 1
        self._next_ns += beats * period_ns
        return True


@dataclass
class DelayLine(Generic[Item]):
    """Holds items back until `delay_ns` of simulated time has passed, first in, first out."""

    delay_ns: int = 0
    _waiting: deque[tuple[int, Item]] = field(default_factory=deque)

    def put(self, item: Item, sim_ns: int) -> None:
        """Take an item made at `sim_ns`."""
        self._waiting.append((sim_ns + self.delay_ns, item))

    def ready(self, sim_ns: int) -> list[Item]:
        """The items whose time has come, oldest first."""
        out = []
        while self._waiting and self._waiting[0][0] <= sim_ns:
            out.append(self._waiting.popleft()[1])
        return out

    def clear(self) -> None:
        """Forget what waits (the world was reset)."""
        self._waiting.clear()


@dataclass
class SpeedMeter:
    """Simulated seconds a wall second over the last `window_ns` of wall time."""

    window_ns: int = 5 * NS_PER_S
    _marks: deque[tuple[int, int]] = field(default_factory=deque)

    def mark(self, wall_ns: int, sim_ns: int) -> None:
        """Note a tick."""
        self._marks.append((wall_ns, sim_ns))
        while wall_ns - self._marks[0][0] > self.window_ns:
            self._marks.popleft()

    @property
    def factor(self) -> float:
        """The measured real-time factor; nan before two ticks."""
        if len(self._marks) < 2 or self._marks[-1][0] == self._marks[0][0]:
            return float("nan")
        (wall_from, sim_from), (wall_to, sim_to) = self._marks[0], self._marks[-1]
        return (sim_to - sim_from) / (wall_to - wall_from)
