"""A command is obeyed as it is or refused whole, with a reason that names the value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lam_models.geometry import apply_delta, pose, so3_exp
from lam_sim.commands import (
    CommandLimits,
    DeltaCommand,
    Refusals,
    delta_fault,
    hand_targets,
    in_base_axes,
)

NOW_NS = 1_000_000_000_000
LIMITS = CommandLimits()
SANE = DeltaCommand(np.array([0.01, 0, 0, 0, 0, 0.02]), "base_link", 0.05, NOW_NS)

vector = st.lists(st.floats(-1, 1), min_size=3, max_size=3).map(np.array)


def test_a_sane_command_passes():
    assert delta_fault(SANE, NOW_NS, LIMITS) == ""
    assert delta_fault(replace(SANE, frame="ee_link"), NOW_NS, LIMITS) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"frame": "map"}, "frame 'map' is unknown; known: base_link, ee_link"),
        ({"frame": ""}, "frame '' is unknown"),
        ({"delta_ee": np.array([0, np.nan, 0, 0, 0, 0])}, "not finite"),
        ({"delta_ee": np.array([0, 0, 0, 0, np.inf, 0])}, "not finite"),
        ({"delta_ee": np.array([0.2, 0, 0, 0, 0, 0])}, "speed 4 m/s is above 1.5"),
        ({"delta_ee": np.array([0, 0, 0, 0.5, 0, 0])}, "turn rate 10 rad/s is above 6"),
        ({"duration_s": 0.0}, "duration 0 s is outside"),
        ({"duration_s": 60.0}, "duration 60 s is outside"),
        ({"stamp_ns": NOW_NS - 500_000_000}, "stamp is 0.5 s old"),
        ({"stamp_ns": 0}, "s old, more than 0.25"),
        ({"stamp_ns": NOW_NS + 500_000_000}, "stamp is 0.5 s ahead"),
    ],
)
def test_a_broken_command_is_refused_by_name(change, said):
    assert said in delta_fault(replace(SANE, **change), NOW_NS, LIMITS)


@given(turn=vector, t=vector, w=vector)
def test_axes_of_the_end_effector_mean_what_geometry_says(turn, t, w):
    T_base_ee = pose(so3_exp(turn), np.array([0.4, 0.1, 0.3]))
    command = replace(SANE, delta_ee=np.concatenate([t, w]), frame="ee_link")
    in_base = apply_delta(T_base_ee, in_base_axes(command, T_base_ee[:3, :3]))
    expected = apply_delta(T_base_ee, command.delta_ee, T_base_ee[:3, :3])
    np.testing.assert_allclose(in_base, expected, atol=1e-12)


def test_hand_targets_go_by_name_and_leave_the_others():
    held = np.array([0.1, 0.2, 0.3])
    targets, fault = hand_targets(("c", "a"), np.array([3.0, 1.0]), ("a", "b", "c"), held)
    assert fault == ""
    np.testing.assert_array_equal(targets, [1.0, 0.2, 3.0])
    np.testing.assert_array_equal(held, [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("names", "positions", "said"),
    [
        (("a", "x"), [1.0, 1.0], "joint 'x' is not of this hand; known: a, b"),
        (("a",), [1.0, 2.0], "1 names but 2 positions"),
        (("a",), [np.nan], "not finite"),
    ],
)
def test_a_broken_hand_command_changes_nothing(names, positions, said):
    held = np.array([0.1, 0.2])
    targets, fault = hand_targets(names, np.array(positions), ("a", "b"), held)
    assert said in fault
    np.testing.assert_array_equal(targets, held)


def test_a_refusal_is_news_once_per_kind():
    refusals = Refusals()
    assert refusals.count("ee_delta", "stamp is 0.5 s old")
    assert not refusals.count("ee_delta", "stamp is 0.7 s old")
    assert refusals.count("ee_delta", "frame 'map' is unknown")
    assert refusals.count("hand", "stamp is 0.5 s old")
    assert refusals.total == 4
    refusals.forget()
    assert refusals.count("ee_delta", "stamp is 0.9 s old")
    assert refusals.total == 5
