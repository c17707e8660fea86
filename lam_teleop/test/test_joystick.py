"""A gamepad commands only with its deadman button held, seen released before, and fresh."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lam_teleop.joystick import Joystick, Layout

MS = 1_000_000
LAYOUT = Layout(deadman=4, axes=(1, 0, 4, 6, 7, 3), close=0, open=1)
RELEASED = [0] * 8
PRESSED = [0, 0, 0, 0, 1, 0, 0, 0]
MIDDLE = [0.0] * 8
FORWARD = [0.0, 1.0] + [0.0] * 6

states = st.tuples(
    st.integers(0, 400), st.booleans(), st.floats(-1.0, 1.0), st.sampled_from([8, 8, 8, 3])
)


def armed(layout: Layout = LAYOUT, now_ns: int = 0) -> Joystick:
    """A gamepad whose deadman button was seen released."""
    joystick = Joystick(layout)
    joystick.hear(MIDDLE, RELEASED, now_ns)
    return joystick


@given(st.lists(states, max_size=30))
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_moves_unless_the_button_is_held_and_was_released_before(story):
    joystick, now_ns, was_released = Joystick(LAYOUT), 0, False
    for wait_ms, pressed, value, buttons in story:
        now_ns += wait_ms * MS
        was_released &= wait_ms * MS <= LAYOUT.timeout_ns
        axes = [value] * 8
        joystick.hear(axes, (PRESSED if pressed else RELEASED)[:buttons], now_ns)
        was_released = (was_released or not pressed) and buttons == 8
        wish = joystick.wish(now_ns)
        assert wish.live == (pressed and was_released)
        assert wish.live or not wish.velocity.any()
        assert (np.abs(wish.velocity[:3]) <= LAYOUT.max_speed_m_s).all()
        assert (np.abs(wish.velocity[3:]) <= LAYOUT.max_turn_rad_s).all()
        assert not joystick.wish(now_ns + LAYOUT.timeout_ns + 1).live


def test_a_button_that_was_held_through_a_silence_must_be_released_first():
    joystick, late_ns = armed(), LAYOUT.timeout_ns + 2
    joystick.hear(FORWARD, PRESSED, 1)
    assert joystick.wish(1).velocity[0] == pytest.approx(LAYOUT.max_speed_m_s)
    joystick.hear(FORWARD, PRESSED, late_ns)
    assert not joystick.wish(late_ns).live
    joystick.hear(FORWARD, RELEASED, late_ns)
    joystick.hear(FORWARD, PRESSED, late_ns)
    assert joystick.wish(late_ns).live


@given(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0))
@settings(deadline=None, max_examples=40)
def test_more_of_an_axis_is_never_less_motion(one, other):
    low, high = sorted((one, other))
    speeds = []
    for value in (low, high):
        joystick = armed()
        joystick.hear([0.0, value] + [0.0] * 6, PRESSED, 1)
        speeds.append(joystick.wish(1).velocity[0])
        if abs(value) <= LAYOUT.deadzone:
            assert speeds[-1] == 0.0
    assert speeds[0] <= speeds[1]


@pytest.mark.parametrize("axis", range(6))
def test_an_axis_can_be_inverted_or_left_out(axis):
    signs = tuple(-1 if at == axis else 1 for at in range(6))
    axes = tuple(-1 if at == axis else number for at, number in enumerate(LAYOUT.axes))
    for layout, sign in (
        (LAYOUT, 1.0),
        (replace(LAYOUT, signs=signs), -1.0),
        (replace(LAYOUT, axes=axes), 0.0),
    ):
        joystick = armed(layout)
        joystick.hear([1.0] * 8, PRESSED, 1)
        assert np.sign(joystick.wish(1).velocity[axis]) == sign


def test_buttons_close_and_open():
    for pressed, sign in (([0], 1.0), ([1], -1.0), ([0, 1], 0.0)):
        joystick = armed()
        joystick.hear(MIDDLE, [int(at in (*pressed, 4)) for at in range(8)], 1)
        assert np.sign(joystick.wish(1).closing) == sign


@pytest.mark.parametrize(
    ("axes", "buttons", "said"),
    [
        (FORWARD, [0] * 4, "button 4 (deadman)"),
        ([0.0] * 3, PRESSED, "axis 4 (z)"),
        ([math.nan] * 8, PRESSED, "finite"),
    ],
)
def test_another_gamepad_commands_nothing_and_says_why(axes, buttons, said):
    joystick = armed()
    joystick.hear(axes, buttons, 1)
    assert said in joystick.fault and not joystick.wish(1).live
    assert said in joystick.state(1)[0]
    # What is wrong once is not trusted until the button was released again.
    joystick.hear(FORWARD, PRESSED, 2)
    assert not joystick.wish(2).live
