"""Laws of pacing: speed is kept on average, stalls are not made up for in a burst."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lam_sim.pacing import NS_PER_S, DelayLine, Pacer, SpeedMeter, Stream

TICK_NS = 10_000_000


def run(pacer: Pacer, wall_s: float, tick_cost_ns: int = 0) -> int:
    """Ticks that a loop makes in `wall_s` when each costs `tick_cost_ns`."""
    now_ns, ticks = 5 * NS_PER_S, 0
    end_ns = now_ns + round(wall_s * NS_PER_S)
    while now_ns < end_ns:
        now_ns += round(pacer.wait_s(now_ns) * NS_PER_S)
        if now_ns >= end_ns:
            break
        pacer.start_tick(now_ns)
        ticks += 1
        now_ns += tick_cost_ns
    return ticks


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_the_factor_is_kept(factor):
    assert run(Pacer(TICK_NS, factor), wall_s=2.0) == pytest.approx(200 * factor, abs=1)


@given(cost_ns=st.integers(0, TICK_NS - 1))
def test_work_that_fits_into_a_tick_does_not_slow_the_loop(cost_ns):
    pacer = Pacer(TICK_NS)
    assert run(pacer, wall_s=1.0, tick_cost_ns=cost_ns) in (100, 101)
    assert pacer.overruns == 0


def test_a_lag_within_the_slack_is_caught_up():
    pacer = Pacer(TICK_NS, slack_ns=100_000_000)
    pacer.start_tick(0)
    late_ns = 95_000_000
    ticks = 0
    while pacer.wait_s(late_ns) == 0.0:
        pacer.start_tick(late_ns)
        ticks += 1
    assert ticks == 9
    assert pacer.overruns == 0


def test_a_stall_is_counted_and_not_followed_by_a_burst():
    pacer = Pacer(TICK_NS, slack_ns=100_000_000)
    pacer.start_tick(0)
    pacer.start_tick(3 * NS_PER_S)
    assert pacer.overruns == 1
    assert pacer.wait_s(3 * NS_PER_S) == pytest.approx(TICK_NS / NS_PER_S)


def test_factor_zero_never_waits():
    pacer = Pacer(TICK_NS, factor=0.0)
    for now_ns in (0, 1, 10 * NS_PER_S):
        pacer.start_tick(now_ns)
        assert pacer.wait_s(now_ns) == 0.0
    assert pacer.overruns == 0


@pytest.mark.parametrize("bad", [{"period_ns": 0}, {"period_ns": TICK_NS, "factor": -1.0}])
def test_nonsense_is_refused(bad):
    with pytest.raises(ValueError, match="must be > 0"):
        Pacer(**bad)


@given(rate_hz=st.floats(0.5, 100.0), ticks=st.integers(100, 1000))
def test_a_stream_keeps_its_rate_on_average(rate_hz, ticks):
    stream = Stream(rate_hz)
    samples = sum(stream.due(tick * TICK_NS) for tick in range(ticks))
    assert abs(samples - ticks * rate_hz / 100.0) <= 1.0


def test_a_stream_of_rate_zero_is_silent():
    assert not any(Stream(0.0).due(tick * TICK_NS) for tick in range(50))


def test_a_stream_does_not_make_up_for_skipped_time():
    stream = Stream(30.0)
    assert stream.due(0)
    assert stream.due(10 * NS_PER_S)
    assert not stream.due(10 * NS_PER_S + TICK_NS)


def test_delay_line_keeps_order_and_time():
    line: DelayLine[str] = DelayLine(delay_ns=50)
    line.put("a", 0)
    line.put("b", 10)
    assert line.ready(49) == []
    assert line.ready(50) == ["a"]
    assert line.ready(1000) == ["b"]
    line.put("c", 1000)
    line.clear()
    assert line.ready(5000) == []


def test_speed_meter_measures_the_window_only():
    meter = SpeedMeter(window_ns=NS_PER_S)
    assert math.isnan(meter.factor)
    for i in range(400):
        # Two seconds at half speed, then two at full speed.
        wall_ns = i * TICK_NS
        meter.mark(wall_ns, wall_ns // 2 if i < 200 else wall_ns - NS_PER_S)
    assert meter.factor == pytest.approx(1.0)
