"""Chunks are read and spliced by time: laws, over random chunks and control rates."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from lam_models.command import UserError
from lam_models.types import ActionChunk, LatentSpec
from lam_policy_node.plan import covers, end_ns, hand_at, motion_between
from lam_policy_node.splicing import STRATEGIES, Splice, commit, splice

SPACE = LatentSpec("hand/test", "hand", (1, 4))
MS = 1_000_000


def chunk(start_ns: int = 0, steps: int = 8, dt_s: float = 0.05, seed: int = 0) -> ActionChunk:
    """Random motion, and hand latents on the unit sphere."""
    rng = np.random.default_rng(seed)
    hand = rng.normal(size=(steps, 4))
    return ActionChunk(
        start_ns=start_ns,
        dt_s=dt_s,
        frame="base",
        delta_ee=rng.normal(scale=0.01, size=(steps, 6)).astype(np.float32),
        hand=(hand / np.linalg.norm(hand, axis=1, keepdims=True)).astype(np.float32),
        hand_space=SPACE,
    )


def moved(plan: Splice, from_ns: int, to_ns: int) -> np.ndarray:
    motion = plan.motion(from_ns, to_ns)
    assert motion is not None
    return motion


def held(plan: Splice, at_ns: int) -> np.ndarray:
    hand = plan.hand(at_ns)
    assert hand is not None
    return hand


periods = st.integers(3, 130).map(lambda ms: ms * MS)
starts = st.integers(-200, 200).map(lambda ms: ms * MS + 17)


@given(starts, st.integers(1, 12), st.sampled_from([0.02, 0.05, 0.1]), periods)
@settings(max_examples=60, deadline=None)
def test_all_periods_together_carry_the_whole_chunk(start_ns, steps, dt_s, period_ns):
    plan = chunk(start_ns, steps, dt_s)
    beats = range(start_ns - period_ns, end_ns(plan) + period_ns, period_ns)
    total = sum(motion_between(plan, beat, beat + period_ns) for beat in beats)
    assert_allclose(total, plan.delta_ee.astype(float).sum(axis=0), atol=1e-9)


@given(starts, st.lists(st.integers(0, 600), min_size=3, max_size=3, unique=True).map(sorted))
@settings(max_examples=60, deadline=None)
def test_a_period_is_the_sum_of_its_parts(start_ns, cuts_ms):
    plan = chunk(start_ns)
    a, b, c = (cut * MS for cut in cuts_ms)
    whole = motion_between(plan, a, c)
    assert_allclose(whole, motion_between(plan, a, b) + motion_between(plan, b, c), atol=1e-12)


@given(starts, st.integers(-50, 450))
@settings(max_examples=60, deadline=None)
def test_the_step_that_is_due_is_a_matter_of_time_alone(start_ns, since_ms):
    plan, at_ns = chunk(start_ns), start_ns + since_ms * MS
    index = since_ms // 50
    assert covers(plan, at_ns) == (0 <= index < 8)
    assert_allclose(hand_at(plan, at_ns), plan.hand[min(max(index, 0), 7)])
    if covers(plan, at_ns):
        step = motion_between(plan, start_ns + index * 50 * MS, start_ns + (index + 1) * 50 * MS)
        assert_allclose(step, plan.delta_ee[index], atol=1e-12)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_late_answer_starts_where_the_clock_is(strategy):
    plan, late_ns = splice(strategy), 130 * MS
    answer = chunk()
    assert plan.add(answer, late_ns, 0)
    assert_allclose(held(plan, late_ns), answer.hand[2], atol=1e-6)
    assert_allclose(moved(plan, late_ns, late_ns + 20 * MS), 0.4 * answer.delta_ee[2], atol=1e-9)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_without_an_answer_for_the_instant_there_is_none(strategy):
    plan = splice(strategy)
    assert plan.motion(0, 1) is None and plan.hand(0) is None
    assert plan.add(chunk(), 0, 0)
    assert plan.motion(400 * MS, 420 * MS) is None and plan.hand(400 * MS) is None
    assert not plan.add(chunk(), 400 * MS, 0)
    assert plan.add(chunk(420 * MS), 420 * MS, 0)
    plan.clear()
    assert plan.motion(430 * MS, 440 * MS) is None


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("decay_per_s", [-5.0, 0.0, 5.0])
def test_agreeing_answers_blend_to_themselves(strategy, decay_per_s):
    """Chunks cut from one long motion say the same of every instant."""
    motion, plan = chunk(steps=20), splice(strategy, decay_per_s)
    for index in range(4):
        begin = slice(index, index + 8)
        part = ActionChunk(
            index * 50 * MS, 0.05, "base", motion.delta_ee[begin], motion.hand[begin], SPACE
        )
        assert plan.add(part, index * 50 * MS + 3 * MS, index * 50 * MS)
    for at_ns in range(160 * MS, 370 * MS, 7 * MS):
        wanted = motion_between(motion, at_ns, at_ns + 20 * MS)
        assert_allclose(moved(plan, at_ns, at_ns + 20 * MS), wanted, atol=1e-9)
        assert_allclose(held(plan, at_ns), hand_at(motion, at_ns), atol=1e-6)


def test_an_ensemble_lies_between_its_members_and_on_their_sphere():
    members = [chunk(seed=1), chunk(20 * MS, seed=2)]
    plan = splice("ensemble")
    assert all(plan.add(member, 30 * MS, 0) for member in members)
    each = [motion_between(member, 60 * MS, 80 * MS) for member in members]
    blended = moved(plan, 60 * MS, 80 * MS)
    assert (blended >= np.minimum(*each) - 1e-12).all()
    assert (blended <= np.maximum(*each) + 1e-12).all()
    assert np.linalg.norm(held(plan, 60 * MS)) == pytest.approx(1.0, abs=1e-5)


def test_decay_draws_an_ensemble_to_the_newest_or_the_oldest():
    older, newer = chunk(seed=1), chunk(100 * MS, seed=2)
    for decay_per_s, wanted in ((500.0, newer), (-500.0, older)):
        plan = splice("ensemble", decay_per_s)
        assert plan.add(older, 110 * MS, 0) and plan.add(newer, 110 * MS, 0)
        expected = motion_between(wanted, 120 * MS, 140 * MS)
        assert_allclose(moved(plan, 120 * MS, 140 * MS), expected, atol=1e-9)


@given(st.integers(0, 6), st.integers(0, 200), periods)
@settings(max_examples=60, deadline=None)
def test_real_time_chunking_keeps_what_is_committed(steps, late_ms, period_ns):
    """Until the committed steps end the plan before goes on, then the new one: nothing else."""
    before, after = chunk(seed=1, steps=16), chunk(100 * MS, seed=2, steps=16)
    plan = splice("rtc")
    assert plan.add(before, 10 * MS, 0)
    committed_until_ns, now_ns = (100 + steps * 50) * MS, (100 + late_ms) * MS
    assert plan.add(after, now_ns, committed_until_ns)
    turn_ns = max(now_ns, committed_until_ns)
    for begin in range(now_ns, 700 * MS, period_ns):
        end = begin + period_ns
        wanted = motion_between(before, begin, min(end, max(begin, turn_ns)))
        wanted = wanted + motion_between(after, min(end, max(begin, turn_ns)), end)
        assert_allclose(moved(plan, begin, end), wanted, atol=1e-9)
        assert_allclose(held(plan, begin), hand_at(before if begin < turn_ns else after, begin))


def test_a_policy_is_told_the_plan_from_its_observation_on():
    running = chunk(steps=16)
    plan = splice("rtc")
    assert plan.add(running, 0, 0)
    told = commit(plan, running, observed_ns=200 * MS, delay_ns=120 * MS)
    assert told is not None and told.steps == 3
    assert told.plan.start_ns == 200 * MS
    assert_allclose(told.plan.delta_ee, running.delta_ee[4:], atol=1e-8)
    assert_allclose(told.plan.hand, running.hand[4:], atol=1e-6)
    again = commit(plan, running, observed_ns=0, delay_ns=0)
    assert again is not None and len(again.plan.delta_ee) == 16
    assert commit(plan, running, observed_ns=900 * MS, delay_ns=0) is None


def test_asking_for_the_future_does_not_change_the_plan():
    plan = splice("rtc")
    plan.add(chunk(seed=1), 0, 0)
    plan.add(chunk(50 * MS, seed=2), 60 * MS, 150 * MS)
    first = [moved(plan, t * MS, (t + 20) * MS) for t in range(60, 300, 20)]
    second = [moved(plan, t * MS, (t + 20) * MS) for t in range(60, 300, 20)]
    for a, b in itertools.zip_longest(first, second):
        assert_allclose(a, b)


def test_an_unknown_strategy_is_named():
    with pytest.raises(UserError, match="Did you mean 'latest'"):
        splice("lattest")
