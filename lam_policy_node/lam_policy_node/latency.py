"""How long each stage from exposure to command takes, over the last seconds.

transport  exposure (the stamp) to callback
wait       callback to the question: raw pictures shrink, the policy may be busy
align      the question on its way, decoding and resizing of compressed pictures
model      the policy
splice     its answer on its way into the plan
grid       the plan to the first command made of it: the rest of the control period
publish    the beat of the grid to the command's departure
total      exposure to departure of the first command that rests on it
"""

from __future__ import annotations

from collections import deque

import numpy as np

STAGES = ("transport", "wait", "align", "model", "splice", "grid", "late", "publish", "total")


class Latency:
    """Durations by stage. `now_ns` is any one clock; nothing older than `window_s` counts.

    most: durations of a stage that are kept, whatever their age.
    """

    def __init__(self, window_s: float = 2.0, most: int = 2048) -> None:
        self._window_s = window_s
        self._taken: dict[str, deque[tuple[int, float]]] = {
            stage: deque(maxlen=most) for stage in STAGES
        }

    def note(self, stage: str, duration_s: float, now_ns: int) -> None:
        """Take a duration."""
        taken = self._taken[stage]
        taken.append((now_ns, duration_s))
        while now_ns - taken[0][0] > self._window_s * 1e9:
            taken.popleft()

    def percentiles(self, stage: str, now_ns: int) -> tuple[float, float]:
        """Median and 95th percentile [s]; nan where nothing was taken."""
        recent = [d for at_ns, d in self._taken[stage] if now_ns - at_ns <= self._window_s * 1e9]
        if not recent:
            return float("nan"), float("nan")
        p50, p95 = np.percentile(recent, (50, 95)).tolist()
        return p50, p95

    def durations(self) -> dict[str, list[float]]:
        """All that is kept of every stage [s], oldest first."""
        return {stage: [d for _, d in taken] for stage, taken in self._taken.items()}


class Delay:
    """The delay to plan for: the longest of the last answers."""

    def __init__(self, memory: int = 10) -> None:
        self._last: deque[int] = deque(maxlen=memory)

    def note(self, delay_ns: int) -> None:
        """Take the delay from observation to answer."""
        self._last.append(delay_ns)

    @property
    def longest_ns(self) -> int:
        return max(self._last, default=0)
