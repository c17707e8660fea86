"""A recording on a grid of instants: which samples are seen at each, and where there are gaps.

The samples are chosen by sense.align, as in the running node. Where a needed stream is missing or
too old there is no frame, as the node then holds still: the recording falls into pieces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from lam_models.command import UserError
from lam_models.data.bags.actions import Steps
from lam_models.data.bags.reading import Content
from lam_models.sense.align import FUTURE_TOLERANCE_NS, Refusal, Sample, StreamRule, serve
from lam_models.sense.observing import NS_PER_S


@dataclass(frozen=True)
class Piece:
    """Consecutive frames: steps of the grid and the samples seen at the beginning of each."""

    steps: Steps
    seen: tuple[Mapping[str, Sample], ...]

    @property
    def length(self) -> int:
        return len(self.seen)

    def part(self, start: int, stop: int) -> Piece:
        """Frames start, ... stop - 1."""
        return Piece(
            Steps(self.steps.ticks_ns[start:stop], self.steps.period_ns), self.seen[start:stop]
        )


@dataclass(frozen=True)
class Gap:
    """Frames that could not be made, from `start_s` after the first instant, and why."""

    start_s: float
    frames: int
    reason: str

    def __str__(self) -> str:
        return f"{self.frames} frames from {self.start_s:.2f} s: {self.reason}"


@dataclass(frozen=True)
class Gridded:
    """rejected: samples whose stamp lay in the future of their arrival, by stream."""

    pieces: tuple[Piece, ...]
    gaps: tuple[Gap, ...]
    rejected: Counter[str]


def grid(span_ns: tuple[int, int], fps: int) -> tuple[Int64[np.ndarray, " steps"], int]:
    """Instants from the beginning on whose whole step lies within the span, and the step [ns]."""
    period_ns = round(NS_PER_S / fps)
    count = max(0, (span_ns[1] - span_ns[0]) * fps // NS_PER_S)
    offsets = np.arange(count, dtype=np.int64) * NS_PER_S // fps
    return span_ns[0] + offsets, period_ns


def cut(
    content: Content, rules: Mapping[str, StreamRule], span_ns: tuple[int, int], fps: int
) -> Gridded:
    """The pieces of a recording. Before the first frame and after the last there is no gap."""
    ticks_ns, period_ns = grid(span_ns, fps)
    rejected: Counter[str] = Counter()
    # What came before the beginning is of what was before.
    arrivals = (
        (name, sample)
        for name, sample in content.arrivals
        if name in rules and sample.received_ns >= span_ns[0]
    )
    served = list(
        serve(rules, arrivals, ticks_ns.tolist(), lambda one: rejected.update([one.stream]))
    )
    made = [not isinstance(one, Refusal) for one in served]
    if not any(made):
        raise UserError(_why_none(served, rejected))
    first, last = made.index(True), len(made) - made[::-1].index(True)
    pieces, gaps = [], []
    start = first
    for i in range(first + 1, last + 1):
        if i < last and made[i] == made[start]:
            continue
        if made[start]:
            seen = tuple(one for one in served[start:i] if not isinstance(one, Refusal))
            pieces.append(Piece(Steps(ticks_ns[start:i], period_ns), seen))
        else:
            gaps.append(Gap((start - first) / fps, i - start, _reason(served[start:i])))
        start = i
    return Gridded(tuple(pieces), tuple(gaps), rejected)


def _reason(refused: Sequence[Mapping[str, Sample] | Refusal]) -> str:
    """Why frames are missing: the oldest each of the streams became."""
    worst: dict[str, str] = {}
    for one in refused:
        assert isinstance(one, Refusal)
        for fault in one.faults:
            worst[fault.stream] = str(fault)
    return "; ".join(worst.values())


def _why_none(served: Sequence[Mapping[str, Sample] | Refusal], rejected: Counter[str]) -> str:
    if not served:
        return "it is shorter than one frame"
    if rejected:
        streams = ", ".join(f"'{name}'" for name in rejected)
        return (
            f"stamps of {streams} lie more than {FUTURE_TOLERANCE_NS / 1e9:g} s after their "
            "arrival: the clocks were not synchronised"
        )
    return f"no frame at all: {_reason(served)}"
