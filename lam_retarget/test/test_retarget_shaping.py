"""Laws of the shaped motion: limits, speed, acceleration, no overshoot, arrival."""

from __future__ import annotations

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lam_retarget.shaping import Motion, Pace, follow, resting, stopping_point

TINY = 1e-9
share = st.floats(0.0, 1.0)
step_s = st.floats(1e-4, 0.2)
PACE = Pace(np.array([-0.5]), np.array([1.6]), np.array([4.0]), np.array([40.0]))


def place(part: float) -> np.ndarray:
    """A position within the limits."""
    return PACE.lower + part * (PACE.upper - PACE.lower)


def check_step(before: Motion, after: Motion, dt_s: float) -> None:
    """One step keeps to the limits."""
    assert np.all(after.q >= PACE.lower) and np.all(after.q <= PACE.upper)
    moved = (after.q - before.q) / dt_s
    assert np.all(np.abs(moved) <= PACE.max_speed * (1 + 1e-9) + TINY / dt_s)
    # Where the target is taken, a speed too small to matter ends at once.
    residue = np.sqrt(2 * PACE.max_acceleration * TINY)
    change = np.abs(after.speed - before.speed)
    assert np.all(change <= PACE.max_acceleration * dt_s * (1 + 1e-9) + residue)


@settings(deadline=None, phases=(Phase.reuse, Phase.generate), max_examples=100)
@given(share, st.lists(st.tuples(share, step_s), min_size=1, max_size=60))
def test_whatever_the_targets_and_steps_no_limit_is_passed(start, script):
    motion = resting(place(start), PACE)
    for part, dt_s in script:
        after = follow(motion, place(part), PACE, dt_s)
        check_step(motion, after, dt_s)
        motion = after


@settings(deadline=None, phases=(Phase.reuse, Phase.generate), max_examples=100)
@given(share, share, st.lists(step_s, min_size=1, max_size=60))
def test_a_target_that_rests_is_never_passed(start, part, steps):
    motion, target = resting(place(start), PACE), place(part)
    side = np.sign(target - motion.q)
    for dt_s in steps:
        motion = follow(motion, target, PACE, dt_s)
        assert np.all(side * (target - motion.q) >= -TINY)


@settings(deadline=None, phases=(Phase.reuse, Phase.generate), max_examples=50)
@given(share, share, st.floats(1e-3, 0.05))
def test_it_arrives_exactly_and_in_good_time(start, part, dt_s):
    motion, target = resting(place(start), PACE), place(part)
    distance = float(np.abs(target - motion.q)[0])
    speed, acceleration = float(PACE.max_speed[0]), float(PACE.max_acceleration[0])
    fastest_s = distance / speed + 2 * speed / acceleration
    for _ in range(int(2 * fastest_s / dt_s) + 20):
        motion = follow(motion, target, PACE, dt_s)
    np.testing.assert_array_equal(motion.q, target)
    assert motion.rests


@settings(deadline=None, phases=(Phase.reuse, Phase.generate), max_examples=50)
@given(share, share, st.integers(0, 30), st.lists(step_s, min_size=40, max_size=40))
def test_the_stopping_point_is_where_braking_ends(start, part, count, steps):
    motion = resting(place(start), PACE)
    for _ in range(count):
        motion = follow(motion, place(part), PACE, 0.01)
    rest = stopping_point(motion, PACE)
    speed = abs(float(motion.speed[0]))
    for dt_s in steps:
        after = follow(motion, rest, PACE, dt_s)
        check_step(motion, after, dt_s)
        assert abs(float(after.speed[0])) <= speed + TINY
        motion, speed = after, abs(float(after.speed[0]))
    assert np.all(np.abs(motion.q - rest) <= np.abs(place(part) - place(start)) + TINY)


def test_a_share_of_the_speed_is_slower():
    def steps_to_arrive(pace: Pace) -> int:
        motion, count = resting(np.array([0.0]), pace), 0
        while motion.q != 1.0:
            motion, count = follow(motion, np.array([1.0]), pace, 0.01), count + 1
        return count

    half = Pace(PACE.lower, PACE.upper, PACE.max_speed / 2, PACE.max_acceleration / 2)
    assert steps_to_arrive(half) > steps_to_arrive(PACE)
