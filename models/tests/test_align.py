"""Alignment: the newest sample known at an instant, live and offline alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lam_models.command import UserError
from lam_models.sense.align import Aligner, Refusal, Sample, StreamRule, replay

MS = 1_000_000
RULES = {
    "camera": StreamRule(max_age_s=0.2),
    "joints": StreamRule(max_age_s=0.05),
    "touch": StreamRule(max_age_s=0.05, rule="drop"),
    "instruction": StreamRule(max_age_s=0.0, rule="hold"),
}


def served(aligner: Aligner, now_ns: int) -> dict[str, object]:
    observation = aligner.observe(now_ns)
    assert isinstance(observation, dict)
    return {name: sample.value for name, sample in observation.items()}


def one_stream(rule: str = "asof") -> Aligner:
    return Aligner({"camera": StreamRule(0.2, rule)})  # type: ignore[arg-type]


def test_newest_at_or_before_now():
    aligner = one_stream()
    for stamp_ms in (100, 130, 160):
        aligner.push("camera", stamp_ms * MS, stamp_ms * MS, stamp_ms)
    assert served(aligner, 160 * MS) == {"camera": 160}
    assert served(aligner, 159 * MS) == {"camera": 130}


def test_a_sample_not_yet_received_is_not_used():
    aligner = one_stream()
    aligner.push("camera", 100 * MS, 101 * MS, "old")
    aligner.push("camera", 130 * MS, 170 * MS, "late")
    assert served(aligner, 160 * MS) == {"camera": "old"}
    assert served(aligner, 170 * MS) == {"camera": "late"}


def test_order_of_arrival_does_not_matter_and_the_last_of_equal_stamps_counts():
    aligner = one_stream()
    aligner.push("camera", 130 * MS, 131 * MS, "new")
    aligner.push("camera", 100 * MS, 132 * MS, "overtaken")
    assert served(aligner, 140 * MS) == {"camera": "new"}
    aligner.push("camera", 130 * MS, 133 * MS, "again")
    assert served(aligner, 140 * MS) == {"camera": "again"}


def test_a_stale_stream_is_refused_by_name_and_age():
    aligner = one_stream()
    refusal = aligner.observe(0)
    assert isinstance(refusal, Refusal)
    assert str(refusal) == "stream 'camera' has no sample yet"
    aligner.push("camera", 100 * MS, 100 * MS, 0)
    assert served(aligner, 300 * MS) == {"camera": 0}
    refusal = aligner.observe(301 * MS)
    assert isinstance(refusal, Refusal)
    assert str(refusal) == "stream 'camera' is 0.201 s old, limit 0.2 s"


def test_drop_leaves_a_stale_stream_out_and_hold_never_ages():
    dropping, holding = one_stream("drop"), one_stream("hold")
    assert served(dropping, 0) == {}
    for aligner in (dropping, holding):
        aligner.push("camera", 0, 0, "x")
    assert served(dropping, 10**12) == {}
    assert served(holding, 10**12) == {"camera": "x"}


def test_stamps_far_in_the_future_are_rejected_by_name():
    aligner = one_stream()
    rejection = aligner.push("camera", 351 * MS, 250 * MS, 0)
    assert "'camera': a stamp is 0.101 s in the future" in str(rejection)
    assert aligner.push("camera", 350 * MS, 250 * MS, 1) is None
    assert isinstance(aligner.observe(349 * MS), Refusal)
    assert served(aligner, 350 * MS) == {"camera": 1}


def test_an_unknown_stream_is_a_mistake():
    with pytest.raises(UserError, match="Did you mean 'camera'"):
        one_stream().push("camara", 0, 0, 0)


def test_memory_is_bounded():
    aligner = Aligner({"camera": StreamRule(0.2), "flood": StreamRule(0.2)})
    for i in range(3000):
        aligner.push("camera", i * 33 * MS, i * 33 * MS, i)
        aligner.push("flood", i, i, i)
    kept = {name: len(stream.samples) for name, stream in aligner._streams.items()}
    assert kept["camera"] <= 17
    assert kept["flood"] <= 1024
    assert aligner._streams["flood"].samples[-1].value == 2999


def test_clear_forgets():
    aligner = one_stream()
    aligner.push("camera", 0, 0, 0)
    aligner.clear()
    assert isinstance(aligner.observe(0), Refusal)


@st.composite
def recordings(draw: st.DrawFn) -> dict[str, list[Sample]]:
    """Streams with jitter, drops, duplicates, delays that reorder, and clocks that run ahead."""
    streams = {}
    for name, period_ms in (("camera", 33), ("joints", 10), ("touch", 20), ("instruction", 400)):
        samples = []
        for i in range(draw(st.integers(0, 800 // period_ms))):
            stamp_ns = i * period_ms * MS + draw(st.integers(-5, 5)) * MS
            delay_ns = draw(st.integers(-130, 90)) * MS
            if draw(st.integers(0, 9)) > 0:
                samples.append(Sample(stamp_ns, stamp_ns + delay_ns, (name, i)))
        streams[name] = samples
    return streams


@given(recordings(), st.integers(0, 20))
def test_live_equals_offline(recorded: dict[str, list[Sample]], phase_ms: int):
    """A robot's loop of callbacks and ticks, against a replay of what it recorded."""
    ticks_ns = [(phase_ms + 50 * k) * MS for k in range(20)]
    callbacks = [(s.received_ns, 0, name, s) for name in recorded for s in recorded[name]]
    timers = [(tick_ns, 1, "", None) for tick_ns in ticks_ns]
    aligner, live = Aligner(RULES), []
    for when_ns, _, name, sample in sorted(callbacks + timers, key=lambda event: event[:2]):
        if sample is None:
            live.append(aligner.observe(when_ns))
        else:
            aligner.push(name, sample.stamp_ns, sample.received_ns, sample.value)
    assert replay(RULES, recorded, ticks_ns) == live


@given(recordings(), st.integers(0, 20))
def test_what_is_served_is_what_was_knowable(recorded: dict[str, list[Sample]], phase_ms: int):
    """Against the definition, without any buffer."""
    ticks_ns = [(phase_ms + 50 * k) * MS for k in range(20)]
    for now_ns, observation in zip(ticks_ns, replay(RULES, recorded, ticks_ns), strict=True):
        newest = {}
        for name, samples in recorded.items():
            known = [
                s.stamp_ns
                for s in samples
                if max(s.received_ns, s.stamp_ns) <= now_ns
                and s.stamp_ns - s.received_ns <= 100 * MS
            ]
            hold = RULES[name].rule == "hold"
            if known and (hold or now_ns - max(known) <= RULES[name].max_age_s * 1e9):
                newest[name] = max(known)
        needed = {name for name, rule in RULES.items() if rule.rule != "drop"}
        if isinstance(observation, Refusal):
            assert {fault.stream for fault in observation.faults} == needed - set(newest)
        else:
            assert {name: s.stamp_ns for name, s in observation.items()} == newest
