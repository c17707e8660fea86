"""Beats come once each, on one grid, whenever they are asked for."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lam_policy_node.asking import Asking
from lam_policy_node.grid import Grid
from lam_policy_node.twist import Velocities, velocity_of

PERIOD_NS = 20_000_000


@given(st.lists(st.integers(0, 3 * PERIOD_NS), min_size=2, max_size=80))
def test_beats_stay_on_the_grid_and_each_comes_once(pauses_ns):
    grid, now_ns, beats = Grid(PERIOD_NS), 1_000, []
    for pause_ns in pauses_ns:
        now_ns += pause_ns
        beat = grid.due(now_ns)
        assert grid.due(now_ns) is None, "one beat, one answer"
        if beat is not None:
            assert 0 <= now_ns - beat < PERIOD_NS
            beats.append(beat)
        assert 0.0 <= grid.wait_s(now_ns) * 1e9 <= PERIOD_NS + 1
    assert {(b - beats[0]) % PERIOD_NS for b in beats} == {0}
    assert all(later > earlier for earlier, later in itertools.pairwise(beats))
    assert grid.missed == (beats[-1] - beats[0]) // PERIOD_NS + 1 - len(beats)


def test_a_clock_that_is_set_back_begins_a_new_grid():
    grid = Grid(PERIOD_NS)
    assert grid.due(10**12) == 10**12
    assert grid.due(5) == 5
    assert grid.due(5 + PERIOD_NS) == 5 + PERIOD_NS


def test_the_policy_is_asked_when_every_camera_has_news():
    asking = Asking(["front", "wrist"])
    assert not asking.wanted(0, on_beat=True)
    asking.news("front")
    asking.news("side")
    asking.news("side")
    assert not asking.wanted(0, on_beat=True)
    asking.news("wrist")
    assert asking.wanted(0, on_beat=False)
    asking.asked(0)
    assert not asking.wanted(1, on_beat=True)


def test_a_camera_that_lags_is_not_waited_for_longer_than_a_picture():
    asking = Asking(["front", "wrist"])
    asking.news("front")
    assert not asking.wanted(0, on_beat=True)
    asking.news("front")
    assert asking.wanted(0, on_beat=False)
    asking.asked(0)
    asking.news("front")
    assert not asking.wanted(1, on_beat=True), "each question waits anew"


def test_without_cameras_every_beat_asks():
    asking = Asking([])
    assert asking.wanted(0, on_beat=True) and not asking.wanted(0, on_beat=False)


def test_no_more_questions_than_wanted():
    asking, asked = Asking(["front"], most_hz=10.0), 0
    for now_ns in range(0, 10**9, PERIOD_NS):
        asking.news("front")
        if asking.wanted(now_ns, on_beat=True):
            asking.asked(now_ns)
            asked += 1
    assert asked == 10


def test_a_velocity_ends_with_its_motion_then_zeros_then_silence():
    velocities, motion = Velocities(), np.arange(6.0)
    assert velocities.now(0) is None
    velocities.command(motion, 0.02, 0)
    velocity = velocities.now(PERIOD_NS - 1)
    assert velocity is not None
    np.testing.assert_allclose(velocity * 0.02, motion)
    np.testing.assert_allclose(velocity_of(motion, 0.02), motion / 0.02)
    after = [velocities.now(PERIOD_NS + i) for i in range(6)]
    zeros = [v for v in after if v is not None]
    assert zeros and all((v == 0.0).all() for v in zeros)
    assert after[-1] is None
    velocities.command(motion, 0.02, 0)
    velocities.stop()
    np.testing.assert_array_equal(velocities.now(1), np.zeros(6))
