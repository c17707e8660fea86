"""How often a driver is told."""

from __future__ import annotations

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lam_retarget.pacing import Durations, Gate

PERIOD = 10_000_000


@settings(deadline=None, phases=(Phase.reuse, Phase.generate), max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 30_000_000), st.booleans()), max_size=200))
def test_no_more_than_the_drivers_rate_on_average(waits):
    gate, now, opened = Gate(PERIOD), 1_000_000_000, []
    for wait, fresh in waits:
        now += wait
        if gate.opens(now, fresh):
            opened.append(now)
    for first, start in enumerate(opened):
        for count, end in enumerate(opened[first:]):
            assert end - start >= (count - 1) * PERIOD + 0.8 * PERIOD - 1 or count == 0


@settings(deadline=None, phases=(Phase.reuse, Phase.generate), max_examples=60)
@given(st.lists(st.integers(-900_000, 900_000), min_size=1, max_size=100))
def test_a_stream_at_the_drivers_rate_passes_whole_despite_jitter(jitters):
    gate = Gate(PERIOD)
    start = 1_000_000_000
    gate.opens(start, fresh=True)
    for index, jitter in enumerate(jitters):
        assert gate.opens(start + (index + 1) * PERIOD + jitter, fresh=True)


def test_a_fill_waits_longer_than_the_fresh_one_it_stands_in_for():
    gate, now = Gate(PERIOD), 1_000_000_000
    assert gate.opens(now, fresh=True)
    assert not gate.opens(now + PERIOD - 1_000_000, fresh=False)
    assert gate.opens(now + gate.fill_ns, fresh=False)


def test_a_clock_that_is_set_back_stops_nothing():
    gate = Gate(PERIOD)
    assert gate.opens(10**18, fresh=True)
    assert gate.opens(10**9, fresh=True)


def test_percentiles_of_durations():
    durations = Durations(count=3)
    assert durations.percentile_us(50) == 0.0
    for ns in (9_000_000, 1_000, 2_000, 3_000):
        durations.add(ns)
    assert durations.percentile_us(50) == 2.0
