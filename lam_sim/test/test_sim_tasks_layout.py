"""Laws of placing, lasting and moving."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lam_models.geometry import pose
from lam_sim.tasks.dwell import Dwell
from lam_sim.tasks.layout import Region, by_difficulty, scatter, table_region
from lam_sim.tasks.motion import grip_yaw, palm_down, yaw_of


@given(st.integers(0, 10_000), st.integers(1, 5), st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_scattered_discs_lie_in_the_region_and_apart(
    seed: int, count: int, difficulty: float
) -> None:
    region = table_region(difficulty)
    points = scatter(np.random.default_rng(seed), region, [0.045] * count)
    assert points.shape == (count, 2)
    assert (np.abs(points - region.center_m) <= np.array(region.half_m) + 1e-12).all()
    for i in range(count):
        for j in range(i):
            assert np.linalg.norm(points[i] - points[j]) > 0.09


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        scatter(np.random.default_rng(0), Region((0, 0), (0.05, 0.05)), [0.1] * 4)


def test_difficulty_goes_from_easy_to_hard() -> None:
    assert by_difficulty(0.0, 2.0, 1.0) == 2.0
    assert by_difficulty(1.0, 2.0, 1.0) == 1.0


def test_a_dwell_counts_time_and_starts_anew_after_a_break() -> None:
    dwell = Dwell(0.2)
    asked = [(0.0, True), (0.1, True), (0.1, True), (0.15, False), (0.2, True), (0.35, True)]
    assert not any(dwell.held(condition, time_s) for time_s, condition in asked)
    assert dwell.held(True, 0.4)


@given(st.floats(-1.5, 1.5), st.floats(-3.1, 3.1))
def test_a_grip_closes_along_y_without_a_half_turn(hand_rad: float, body_rad: float) -> None:
    c, s = np.cos(body_rad), np.sin(body_rad)
    T_base_body = pose(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), np.zeros(3))
    T_base_ee = pose(palm_down(hand_rad), np.zeros(3))
    assert np.isclose(yaw_of(T_base_ee), hand_rad)
    yaw = grip_yaw(T_base_body, T_base_ee)
    assert abs(palm_down(yaw)[:3, 1] @ T_base_body[:3, 1]) == pytest.approx(1.0)
    assert abs(yaw - hand_rad) <= np.pi / 2 + 1e-9
