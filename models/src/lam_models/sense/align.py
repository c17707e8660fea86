"""Aligns streams of stamped samples to instants: the same code live and offline.

At an instant `now` each stream gives its newest sample stamped at or before `now`, of those that
had been received by `now`. What a recording holds but the robot could not have known yet is thus
never used. Time is an argument; nothing here reads a clock.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal

from lam_models.command import unknown

FUTURE_TOLERANCE_NS = 100_000_000
# Superseded samples are kept this long: an instant may be taken just before a push and asked after.
_HISTORY_NS = 500_000_000
_MOST_SAMPLES = 1024

_by_stamp = attrgetter("stamp_ns")


@dataclass(frozen=True)
class StreamRule:
    """How old a stream's sample may be, and what follows where there is none.

    asof: the stream is needed; no fresh sample, no observation.
    drop: the stream is left out of the observation.
    hold: the stream is needed but never too old (a latched instruction, not a sensor).
    """

    max_age_s: float
    rule: Literal["asof", "drop", "hold"] = "asof"


@dataclass(frozen=True)
class Sample:
    """A value with the instant it was true (sender's stamp) and the one it arrived here."""

    stamp_ns: int
    received_ns: int
    value: Any


@dataclass(frozen=True)
class Rejection:
    """Why a pushed sample was not taken: its stamp lies too far in the future."""

    stream: str
    ahead_s: float

    def __str__(self) -> str:
        return (
            f"stream '{self.stream}': a stamp is {self.ahead_s:.3f} s in the future; "
            "are the clocks synchronised?"
        )


@dataclass(frozen=True)
class Fault:
    """A needed stream without a fresh sample. age_s is None where there is none at all."""

    stream: str
    age_s: float | None
    max_age_s: float

    def __str__(self) -> str:
        if self.age_s is None:
            return f"stream '{self.stream}' has no sample yet"
        return f"stream '{self.stream}' is {self.age_s:.3f} s old, limit {self.max_age_s:g} s"


@dataclass(frozen=True)
class Refusal:
    """No observation, and every reason why."""

    faults: tuple[Fault, ...]

    def __str__(self) -> str:
        return "; ".join(map(str, self.faults))


@dataclass
class _Stream:
    rule: StreamRule
    samples: list[Sample] = field(default_factory=list)  # By stamp, no two alike.

    def insert(self, sample: Sample) -> None:
        at = bisect_left(self.samples, sample.stamp_ns, key=_by_stamp)
        if at < len(self.samples) and self.samples[at].stamp_ns == sample.stamp_ns:
            self.samples[at] = sample
        else:
            self.samples.insert(at, sample)
        horizon = sample.received_ns - _HISTORY_NS
        # The newest one before the horizon may still be the newest of all.
        spent = bisect_right(self.samples, horizon, key=_by_stamp) - 1
        del self.samples[: max(spent, len(self.samples) - _MOST_SAMPLES, 0)]

    def newest(self, now_ns: int) -> Sample | None:
        end = bisect_right(self.samples, now_ns, key=_by_stamp)
        known = (s for s in reversed(self.samples[:end]) if s.received_ns <= now_ns)
        return next(known, None)


class Aligner:
    """The newest samples of several streams. Not thread-safe: guard it with the caller's lock."""

    def __init__(self, rules: Mapping[str, StreamRule]) -> None:
        self._streams = {name: _Stream(rule) for name, rule in rules.items()}

    def push(self, stream: str, stamp_ns: int, received_ns: int, value: Any) -> Rejection | None:
        """Take a sample. Order does not matter; of equal stamps the last one counts."""
        if stream not in self._streams:
            raise unknown("stream", stream, self._streams)
        ahead_ns = stamp_ns - received_ns
        if ahead_ns > FUTURE_TOLERANCE_NS:
            return Rejection(stream, ahead_ns / 1e9)
        self._streams[stream].insert(Sample(stamp_ns, received_ns, value))
        return None

    def observe(self, now_ns: int) -> dict[str, Sample] | Refusal:
        """A sample of each stream at `now_ns`, or why not. `now_ns` should not run backwards."""
        chosen: dict[str, Sample] = {}
        faults: list[Fault] = []
        for name, stream in self._streams.items():
            rule = stream.rule
            sample = stream.newest(now_ns)
            age_s = None if sample is None else (now_ns - sample.stamp_ns) / 1e9
            fresh = age_s is not None and (rule.rule == "hold" or age_s <= rule.max_age_s)
            if sample is not None and fresh:
                chosen[name] = sample
            elif rule.rule != "drop":
                faults.append(Fault(name, age_s, rule.max_age_s))
        return Refusal(tuple(faults)) if faults else chosen

    def clear(self) -> None:
        """Forget every sample, as after the clock was set back."""
        for stream in self._streams.values():
            stream.samples.clear()


def replay(
    rules: Mapping[str, StreamRule],
    recorded: Mapping[str, Sequence[Sample]],
    ticks_ns: Iterable[int],
) -> list[dict[str, Sample] | Refusal]:
    """What an Aligner would have served live at ascending instants, from recorded streams."""
    arrivals = sorted(
        ((name, sample) for name, samples in recorded.items() for sample in samples),
        key=lambda arrival: arrival[1].received_ns,
    )
    return list(serve(rules, arrivals, ticks_ns))


def serve(
    rules: Mapping[str, StreamRule],
    arrivals: Iterable[tuple[str, Sample]],
    ticks_ns: Iterable[int],
    on_rejection: Callable[[Rejection], None] | None = None,
) -> Iterator[dict[str, Sample] | Refusal]:
    """What an Aligner serves at ascending instants, of samples in the order in which they came."""
    aligner = Aligner(rules)
    coming = iter(arrivals)
    following = next(coming, None)
    for now_ns in ticks_ns:
        while following is not None and following[1].received_ns <= now_ns:
            name, sample = following
            rejection = aligner.push(name, sample.stamp_ns, sample.received_ns, sample.value)
            if rejection is not None and on_rejection is not None:
                on_rejection(rejection)
            following = next(coming, None)
        yield aligner.observe(now_ns)
