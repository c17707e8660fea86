"""Nothing that leaves the safety exceeds a limit, whatever a policy asks for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lam_policy_node.safety import Asked, Limits, State, judge

LIMITS = Limits(
    max_speed_m_s=0.5,
    max_turn_rad_s=1.5,
    max_acceleration_m_s2=4.0,
    max_turn_acceleration_rad_s2=12.0,
    workspace_lower_m=(0.2, -0.3, 0.0),
    workspace_upper_m=(0.7, 0.3, 0.5),
    max_step_m=0.2,
    max_step_rad=2.0,
)
DT_S = 0.05
LOWER, UPPER = np.array(LIMITS.workspace_lower_m), np.array(LIMITS.workspace_upper_m)
START_M = 0.5 * (LOWER + UPPER)

component = st.floats(-0.1, 0.1)
motions = st.lists(st.lists(component, min_size=6, max_size=6), min_size=5, max_size=60)


def drive(asked_motions, limits=LIMITS, dt_s=DT_S, start_m=START_M):
    """Verdicts and positions of an arm that does at once what it is told."""
    state, position_m, now_ns, out = State(), np.array(start_m, float), 10**12, []
    for motion in asked_motions:
        asked = Asked(np.array(motion, float), now_ns, position_m.copy())
        verdict, state = judge(asked, dt_s, now_ns, limits, state)
        position_m = position_m + verdict.allowed[:3]
        now_ns += round(dt_s * 1e9)
        out.append((verdict, position_m.copy()))
    return out


@given(motions, st.sampled_from([0.02, 0.05, 0.1]))
@settings(max_examples=150, deadline=None)
def test_speed_acceleration_and_workspace_are_never_exceeded(asked_motions, dt_s):
    before = np.zeros(6)
    for verdict, position_m in drive(asked_motions, dt_s=dt_s):
        velocity = verdict.allowed / dt_s
        assert np.linalg.norm(velocity[:3]) <= LIMITS.max_speed_m_s + 1e-9
        assert np.linalg.norm(velocity[3:]) <= LIMITS.max_turn_rad_s + 1e-9
        change = (velocity - before) / dt_s
        assert np.linalg.norm(change[:3]) <= LIMITS.max_acceleration_m_s2 + 1e-6
        assert np.linalg.norm(change[3:]) <= LIMITS.max_turn_acceleration_rad_s2 + 1e-6
        assert (position_m >= LOWER - 1e-9).all() and (position_m <= UPPER + 1e-9).all()
        before = velocity


@given(st.lists(st.sampled_from([-0.02, 0.02]), min_size=3, max_size=3))
@settings(max_examples=20, deadline=None)
def test_a_motion_into_a_corner_ends_at_the_corner(direction):
    towards = [*direction, 0.0, 0.0, 0.0]
    *_, (verdict, position_m) = drive([towards] * 200)
    corner = np.where(np.array(direction) > 0.0, UPPER, LOWER)
    np.testing.assert_allclose(position_m, corner, atol=2e-3)
    assert "workspace" in verdict.limits


@given(st.lists(st.floats(-1.0, 1.0), min_size=6, max_size=6))
@settings(max_examples=60, deadline=None)
def test_what_respects_every_limit_passes_unchanged(direction):
    """Far from walls, from rest, small enough for the acceleration."""
    motion = np.array(direction) * 0.2 * LIMITS.max_acceleration_m_s2 * DT_S**2
    ((verdict, _),) = drive([motion])
    assert verdict.verdict == "passed" and verdict.limits == () and verdict.reason == ""
    np.testing.assert_allclose(verdict.allowed, motion, atol=1e-12)


def test_limited_motion_keeps_its_direction_and_names_its_limit():
    motion = np.array([0.09, 0.03, 0.0, 0.0, 0.0, 0.0])
    ((verdict, _),) = drive([motion], replace(LIMITS, max_acceleration_m_s2=1e3))
    assert verdict.verdict == "limited" and verdict.limits == ("max_speed_m_s",)
    cosine = verdict.allowed @ motion / np.linalg.norm(verdict.allowed) / np.linalg.norm(motion)
    assert cosine == pytest.approx(1.0)


def test_outside_the_workspace_only_the_way_back_is_open():
    outside = START_M + np.array([0.0, 0.0, 1.0])
    up, down = [0, 0, 0.01, 0, 0, 0], [0, 0, -0.005, 0, 0, 0]
    assert all(verdict.allowed[2] == 0.0 for verdict, _ in drive([up] * 3, start_m=outside))
    assert all(verdict.allowed[2] < 0.0 for verdict, _ in drive([down] * 3, start_m=outside))


def test_a_blocked_arm_does_not_wind_the_target_up():
    state, now_ns, stuck_m = State(), 10**12, START_M
    for _ in range(100):
        asked = Asked(np.array([0.01, 0, 0, 0, 0, 0]), now_ns, stuck_m)
        _, state = judge(asked, DT_S, now_ns, LIMITS, state)
        now_ns += round(DT_S * 1e9)
        assert state.target_m is not None
        ahead_m = np.linalg.norm(state.target_m - stuck_m)
        assert ahead_m <= LIMITS.max_tracking_error_m + LIMITS.max_speed_m_s * DT_S


@pytest.mark.parametrize(
    ("motion", "limit"),
    [
        ([math.nan, 0, 0, 0, 0, 0], "finite"),
        ([0, 0, 0, 0, math.inf, 0], "finite"),
        ([0.3, 0, 0, 0, 0, 0], "max_step_m"),
        ([0, 0, 0, 2.5, 0, 0], "max_step_rad"),
    ],
)
def test_nonsense_is_stopped_and_the_next_motion_starts_from_rest(motion, limit):
    steady = [0.002, 0, 0, 0, 0, 0]
    verdicts = [verdict for verdict, _ in drive([steady] * 20 + [motion] + [[0.1, 0, 0, 0, 0, 0]])]
    stopped, after = verdicts[-2:]
    assert stopped.verdict == "stopped" and stopped.limits == (limit,) and stopped.reason
    assert not stopped.allowed.any()
    assert np.linalg.norm(after.allowed[:3]) <= LIMITS.max_acceleration_m_s2 * DT_S**2 + 1e-12


def test_the_watchdog_stops_old_decisions_and_judgements_after_a_gap():
    motion, now_ns, late_ns = np.full(6, 1e-3), 10**12, 600_000_000
    old, _ = judge(Asked(motion, now_ns - late_ns, START_M), DT_S, now_ns, LIMITS, State())
    assert old.limits == ("watchdog_s",) and not old.allowed.any()
    fresh, state = judge(Asked(motion, now_ns, START_M), DT_S, now_ns, LIMITS, State())
    assert fresh.verdict != "stopped"
    then_ns = now_ns + late_ns
    gap, state = judge(Asked(motion, then_ns, START_M), DT_S, then_ns, LIMITS, state)
    assert gap.limits == ("watchdog_s",)
    again, _ = judge(Asked(motion, then_ns, START_M), DT_S, then_ns, LIMITS, state)
    assert again.verdict != "stopped"


def test_a_workspace_without_a_position_stops():
    verdict, _ = judge(Asked(np.zeros(6), 0, None), DT_S, 0, LIMITS, State())
    assert verdict.limits == ("workspace",)
    free = replace(LIMITS, workspace_lower_m=(), workspace_upper_m=())
    verdict, _ = judge(Asked(np.full(6, 1e-3), 0, None), DT_S, 0, free, State())
    assert verdict.verdict == "passed"
