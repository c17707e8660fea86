"""One number closes every hand, and a person who takes over does not move it by that."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lam_models.command import UserError
from lam_models.hands.space import HUMAN, HandSpace, open_space
from lam_teleop.grip import Grip, closing_path
from lam_teleop.inputs_params import KeyboardSettings
from lam_teleop.pulse import Pulse, Wish

SPACE = open_space()
DEFAULTS = KeyboardSettings()
PATH = closing_path(SPACE, DEFAULTS.open_posture, DEFAULTS.closed_posture, DEFAULTS.closed_at)
GRIPPERS = [
    name for name, c in SPACE.coders.items() if name != HUMAN and len(c.modality.entries) == 1
]


def test_there_are_grippers():
    assert len(GRIPPERS) >= 3


@pytest.mark.parametrize("name", GRIPPERS)
def test_a_gripper_goes_all_the_way_and_never_back(name):
    coder, grip, places = SPACE.coder(name), Grip(PATH), []
    for value in np.linspace(0.0, 1.0, 41):
        grip.value = float(value)
        latent = grip.latent()
        assert latent is not None
        places.append(float(coder.decode(latent)[0]))
    span = coder.modality.upper[0] - coder.modality.lower[0]
    steps = np.diff(places) * np.sign(places[-1] - places[0])
    assert abs(places[-1] - places[0]) > 0.9 * span
    assert steps.min() > -0.02 * span


@pytest.mark.parametrize("name", [n for n in SPACE.coders if n not in (*GRIPPERS, HUMAN)])
def test_fingers_bend_as_the_grip_closes(name):
    coder = SPACE.coder(name)
    joints = coder.decode(PATH)
    moved = np.abs(joints - joints[0]).sum(axis=1)
    quarters = moved[:: len(moved) // 4]
    assert (np.diff(quarters) > 0.0).all()


@given(st.lists(st.floats(-1.0, 1.0), max_size=20))
@settings(deadline=None, max_examples=40)
def test_whatever_is_pressed_the_latent_is_one_of_the_space(steps):
    grip = Grip(PATH)
    assert grip.latent() is None
    for step in steps:
        grip.move(step)
        assert grip.value is not None and 0.0 <= grip.value <= 1.0
        latent = grip.latent()
        assert latent is not None and np.linalg.norm(latent) == pytest.approx(1.0)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_taking_over_leaves_the_hand_where_it_is(seed):
    latent = np.random.default_rng(seed).normal(size=SPACE.dim)
    latent /= np.linalg.norm(latent)
    grip = Grip(PATH)
    grip.move(0.3)
    grip.obeyed(latent)
    np.testing.assert_array_equal(grip.latent(), latent)


@pytest.mark.parametrize("value", [0.0, 0.25, 0.5, 1.0])
def test_closing_goes_on_from_where_the_hand_is(value):
    known, grip = Grip(PATH), Grip(PATH)
    known.value = value
    latent = known.latent()
    assert latent is not None
    grip.obeyed(latent)
    grip.move(0.0)
    assert grip.value == pytest.approx(value, abs=0.05)


def test_what_cannot_be_is_one_sentence():
    with pytest.raises(UserError, match="fist"):
        closing_path(SPACE, "flat", "fits", 0.5)
    hands = {name: coder for name, coder in SPACE.coders.items() if name != HUMAN}
    with pytest.raises(UserError, match="human"):
        closing_path(HandSpace(SPACE.latent, hands), "flat", "fist", 0.5)


@given(st.lists(st.booleans(), max_size=40))
@settings(deadline=None, max_examples=40)
def test_each_release_is_one_zero_then_silence(story):
    pulse, velocity = Pulse(0.05), np.arange(6.0)
    said = [pulse.beat(Wish(live, velocity if live else np.zeros(6))) for live in story]
    for at, (live, motion) in enumerate(zip(story, said, strict=True)):
        if live:
            assert motion is not None
            np.testing.assert_allclose(motion, 0.05 * velocity)
        elif at and story[at - 1]:
            assert motion is not None and not motion.any()
        else:
            assert motion is None
