"""retarget_node with real DDS: what it obeys, what it refuses, and what it says of it."""

from __future__ import annotations

import numpy as np
import pytest
from retarget_bench import all_hands, bench, random_latents, random_space, write_space
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from lam_models.hands.spec_file import read_hand


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """A space of every shipped hand, in a folder."""
    return write_space(tmp_path_factory.mktemp("spaces") / "one", random_space(all_hands()))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Another space of the same hands."""
    other = random_space(all_hands(), name="hand/other", seed=50)
    return write_space(tmp_path_factory.mktemp("spaces") / "two", other)


def target(space, spec, latent):
    return space.coder_for(spec).decode(latent)


def test_a_latent_moves_the_hand_to_what_it_decodes_to(space):
    spec, latent = read_hand("allegro"), random_latents(1, 0)[0]
    with bench(hand="allegro", space=str(space.path), state_topic="") as b:
        b.up()
        heard = b.listen(Float64MultiArray, spec.command.name)
        b.stream(latent, space, lambda: len(heard) >= 3)
        np.testing.assert_allclose(heard[-1].data, target(space, spec, latent), atol=1e-6)
        _, values = b.report()
        assert values["space"] == "hand/random" and values["hand"] == "allegro"


def test_the_hand_is_a_parameter(space):
    latent = random_latents(1, 3)[0]
    for name in ("parallel_gripper", "four_finger"):
        spec = read_hand(name)
        with bench(hand=name, space=str(space.path), state_topic="") as b:
            b.up()
            heard = b.listen(JointState, spec.command.name)
            b.stream(latent, space, lambda heard=heard: heard)
            assert tuple(heard[-1].name) == spec.actuated
            np.testing.assert_allclose(heard[-1].position, target(space, spec, latent), atol=1e-6)


def test_a_foreign_space_is_refused_with_both_names_and_nothing_is_said(space, foreign):
    latent = random_latents(1, 1)[0]
    with bench(hand="parallel_gripper", space=str(space.path), state_topic="") as b:
        b.up()
        heard = b.listen(JointState, "/hand/joint_commands")
        b.stream(
            latent, foreign, lambda: b.reports and "foreign" in b.reports[-1].status[0].message
        )
        text, values = b.report()
        assert "'hand/other'" in text and "'hand/random'" in text and "holding" in text
        assert int(values["refused_foreign_space"]) > 0
        assert not heard
