"""What keys ask for: nudges, holding, releasing, speeds, the grip."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lam_teleop.keyboard import GRIPS, HELP_TEXT, MOVES, PACES, Feel, Keyboard, keys_of

MS = 1_000_000
START_NS = 10**15
REPEAT_NS = 33 * MS
DELAY_NS = 500 * MS


def held(key: str, repeats: int, keyboard: Keyboard | None = None) -> tuple[Keyboard, int]:
    """A keyboard on which a key was held down, and when its last press came."""
    keyboard, now_ns = keyboard or Keyboard(), START_NS
    keyboard.press(key, now_ns)
    for number in range(repeats):
        now_ns += REPEAT_NS if number else DELAY_NS
        keyboard.press(key, now_ns)
    return keyboard, now_ns


@pytest.mark.parametrize("key", MOVES)
def test_a_key_moves_along_its_axis_alone_and_not_too_fast(key):
    axis, sign = MOVES[key]
    for presses in range(6):
        keyboard, now_ns = held(key, 0)
        keyboard.press("+" * presses, now_ns)
        wish = keyboard.wish(now_ns)
        assert wish.live and sign * wish.velocity[axis] > 0.0
        assert np.count_nonzero(wish.velocity) == 1
        limit = Feel().max_speed_m_s if axis < 3 else Feel().max_turn_rad_s
        assert abs(wish.velocity[axis]) <= limit


def test_every_axis_goes_both_ways_and_no_key_means_two_things():
    assert sorted(MOVES.values()) == sorted((axis, sign) for axis in range(6) for sign in (-1, 1))
    assert not set(MOVES) & set(GRIPS) and not set(PACES) & (set(MOVES) | set(GRIPS))
    assert all(key in HELP_TEXT for key in MOVES)


@given(st.integers(0, 60))
@settings(deadline=None)
def test_a_key_that_was_let_go_stops_the_arm(repeats):
    keyboard, last_ns = held("w", repeats)
    feel = keyboard.feel
    assert keyboard.wish(last_ns).live
    limit_ns = feel.most_hold_ns if repeats else feel.nudge_ns
    after = keyboard.wish(last_ns + limit_ns)
    assert not after.live and not after.velocity.any()
    if repeats >= 2:  # Once it repeats, sooner: the gap of its repeats, and nearly as much again.
        assert not keyboard.wish(last_ns + 2 * REPEAT_NS).live


@given(st.integers(2, 40), st.integers(0, REPEAT_NS))
@settings(deadline=None)
def test_a_held_key_moves_on_without_a_pause(repeats, after_ns):
    keyboard, last_ns = held("w", repeats)
    assert keyboard.wish(last_ns + after_ns).velocity[0] > 0.0


def test_two_slow_taps_are_two_nudges():
    keyboard, now_ns = held("w", 0)
    later_ns = now_ns + keyboard.feel.most_gap_ns + 1
    keyboard.press("w", later_ns)
    assert keyboard.wish(later_ns + keyboard.feel.nudge_ns - 1).live
    assert not keyboard.wish(later_ns + keyboard.feel.nudge_ns).live


def test_another_key_takes_over_at_once():
    keyboard, now_ns = held("w", 5)
    keyboard.press("j", now_ns + 1)
    assert np.flatnonzero(keyboard.wish(now_ns + 1).velocity).tolist() == [5]


def test_holding_still_lasts_until_the_next_key():
    keyboard, now_ns = held("w", 5)
    keyboard.press(" ", now_ns)
    for later_ns in (now_ns, now_ns + 3_600 * 10**9):
        wish = keyboard.wish(later_ns)
        assert wish.live and not wish.velocity.any()
    keyboard.press(" ", later_ns)
    assert not keyboard.wish(later_ns).live
    keyboard.press(" ", later_ns)
    keyboard.press("w", later_ns)
    assert keyboard.wish(later_ns).velocity[0] > 0.0
    assert not keyboard.wish(later_ns + 10**9).live


def test_the_grip_adds_up_and_keeps_the_arm_while_it_closes():
    keyboard = Keyboard()
    keyboard.press("cccv", START_NS)
    assert keyboard.grip_by == pytest.approx(2 * keyboard.feel.grip_step)
    wish = keyboard.wish(START_NS + 1)
    assert wish.live and not wish.velocity.any()
    assert not keyboard.wish(START_NS + keyboard.feel.grip_live_ns).live


def test_speeds_go_up_and_down_in_steps():
    keyboard, shares = Keyboard(), []
    for key in "-" * 6 + "+" * 6:
        keyboard.press(key, START_NS)
        shares.append(keyboard.share)
    assert shares[:6] == sorted(shares[:6], reverse=True) and shares[6:] == sorted(shares[6:])
    assert (min(shares), max(shares)) == (keyboard.feel.levels[0], keyboard.feel.levels[-1])


def test_arrows_are_letters_and_other_sequences_nothing():
    assert keys_of("\x1b[A\x1b[B\x1bOC\x1b[D") == "wsda"
    assert keys_of("\x1b[1;5A\x1b[3~\x1b[15~\x1bOQ") == ""
    assert keys_of("wq") == "wq"


@given(st.text(max_size=30))
@settings(deadline=None)
def test_whatever_is_typed_asks_for_nothing_impossible(text):
    keyboard = Keyboard()
    keyboard.press(text, START_NS)
    wish = keyboard.wish(START_NS)
    assert np.isfinite(wish.velocity).all() and wish.velocity.any() <= wish.live
    assert keyboard.quit == ("q" in keys_of(text))
    assert keyboard.status(START_NS, None)
