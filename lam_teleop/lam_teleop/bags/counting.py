"""Loss accounting: of what should have come on a topic, how much lies in the file.

Commands are numbered by their sender, and the middleware numbers what a publisher sends: gaps of
these numbers are losses on the way here. A stream (camera, joints, pose) has a rhythm as well,
learnt from its stamps also between episodes: a gap of n periods means n - 1 messages that were due,
unless they come in a burst right after. Where the numbers have no gap these were never sent; where
there are no numbers (several publishers), they count as lost. What is sent at will (an instruction,
an episode's state) is expected as it comes. A message that came but was not written, because the
disk could not follow, is lost in every case.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from statistics import median

_WINDOW = 51
_FEWEST = 8
_LEARN_EVERY = 8
_GAP, _BURST = 1.5, 0.5
# A rhythm: this share of the intervals is so near the usual one.
_MOSTLY, _NEAR = 0.7, 0.3
# A number this far ahead is another sender or a restarted one, no loss.
_MOST_SKIPPED = 1000


class Rhythm:
    """The period of a stream, and what its stamps leave out."""

    def __init__(self) -> None:
        self._intervals: deque[int] = deque(maxlen=_WINDOW)
        self._last_ns = 0
        self._seen = 0
        self._owed = 0
        self.period_ns = 0.0

    def hear(self, stamp_ns: int) -> int:
        """Messages that are missing before this one; negative where late ones came after all."""
        interval_ns, self._last_ns = stamp_ns - self._last_ns, stamp_ns
        if interval_ns <= 0 or interval_ns == stamp_ns:
            return 0
        self._intervals.append(interval_ns)
        self._seen += 1
        if self._seen >= _FEWEST and (self._seen % _LEARN_EVERY == 0 or not self.period_ns):
            self.period_ns = self._steady()
        if not self.period_ns:
            return 0
        periods = interval_ns / self.period_ns
        if periods > _GAP:
            self._owed = round(periods) - 1
            return self._owed
        if periods < _BURST and self._owed:
            self._owed -= 1
            return -1
        if periods >= _BURST:
            self._owed = 0
        return 0

    def _steady(self) -> float:
        """The usual interval; 0 where none is usual: then nothing can be expected."""
        usual = median(self._intervals)
        near = sum(abs(interval - usual) < _NEAR * usual for interval in self._intervals)
        return usual if near >= _MOSTLY * len(self._intervals) else 0.0


class Numbering:
    """Numbers that count up by one for each source."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def hear(self, source: int, number: int) -> int:
        """Messages of the source that are missing before this one."""
        last, self._last[source] = self._last.get(source), number
        skipped = 0 if last is None else number - last - 1
        return skipped if 0 < skipped < _MOST_SKIPPED else 0

    def forget(self) -> None:
        """What comes next has nothing to do with what came."""
        self._last.clear()


@dataclass(frozen=True)
class Gap:
    """Messages that are missing before one that came; negative where late ones came after all."""

    missing: int = 0
    unsent: int = 0


NO_GAP = Gap()


@dataclass
class Tally:
    """One topic in one episode. Times: of arrival.

    missing: sent, or due, but never received. unsent: due by the rhythm, but not even sent.
    """

    type: str
    role: str
    received: int = 0
    written: int = 0
    missing: int = 0
    unsent: int = 0
    bytes: int = 0
    first_ns: int = 0
    last_ns: int = 0
    least_delay_ns: int | None = None

    def hear(self, arrived_ns: int, stamp_ns: int, size: int, gap: Gap) -> None:
        """A message came. stamp_ns: 0 where it has none."""
        self.received += 1
        self.missing = max(0, self.missing + gap.missing)
        self.unsent = max(0, self.unsent + gap.unsent)
        self.bytes += size
        self.first_ns = self.first_ns or arrived_ns
        self.last_ns = arrived_ns
        if stamp_ns:
            delay_ns = arrived_ns - stamp_ns
            least_ns = self.least_delay_ns
            self.least_delay_ns = delay_ns if least_ns is None else min(least_ns, delay_ns)

    @property
    def expected(self) -> int:
        return self.received + self.missing

    @property
    def lost(self) -> int:
        return self.expected - self.written

    def to_json(self) -> dict[str, str | int]:
        """As the sidecar has it."""
        shown = {k: v for k, v in asdict(self).items() if k not in ("missing", "least_delay_ns")}
        return shown | {"expected": self.expected, "lost": self.lost}
