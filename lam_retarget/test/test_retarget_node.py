"""retarget_node with real DDS: what it obeys, what it refuses, and what it says of it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import yaml
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import QoSProfile, ReliabilityPolicy
from retarget_bench import all_hands, bench, random_latents, random_space, write_space
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray

from lam_models.hands.spec_file import read_hand
from lam_retarget.outlets import Turns


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


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda x: x * np.nan, "not_finite"),
        (lambda x: 1.5 * x, "off_sphere"),
        (lambda x: x[:-1], "shape"),
    ],
)
def test_a_bad_latent_is_named_in_the_diagnostics_and_nothing_is_said(space, spoil, kind):
    with bench(hand="four_finger", space=str(space.path), state_topic="") as b:
        b.up()
        heard = b.listen(JointState, "/hand/joint_commands")
        latent = spoil(random_latents(1, 1)[0])
        b.stream(latent, space, lambda: kind in b.last_report())
        assert int(b.report()[1][f"refused_{kind}"]) > 0
        assert not heard


def test_silence_holds_and_says_so(space):
    latent = random_latents(1, 1)[0]
    with bench(hand="four_finger", space=str(space.path), state_topic="", silence_s=0.1) as b:
        b.up()
        heard = b.listen(JointState, "/hand/joint_commands")
        b.stream(latent, space, lambda: b.last_report() == "following")
        b.until(lambda: "silence" in b.last_report())
        count = len(heard)
        b.spin(0.2)
        assert len(heard) == count > 0
        b.stream(latent, space, lambda: len(heard) > count)


def test_it_starts_from_where_the_hand_is_measured(space):
    spec, latent = read_hand("four_finger"), random_latents(1, 1)[0]
    with bench(hand="four_finger", space=str(space.path)) as b:
        b.up()
        heard = b.listen(JointState, "/hand/joint_commands")
        b.stream(latent, space, lambda: "no measured position" in b.last_report())
        assert not heard
        q = spec.sample(1, 2)[0]
        states = b.client.create_publisher(JointState, "/joint_states", 10)
        state = JointState(name=list(spec.actuated), position=q.tolist())
        b.until(states.get_subscription_count)
        b.stream(latent, space, lambda: states.publish(state) or heard)
        reach = spec.max_acceleration / spec.command.rate_hz**2
        assert np.all(np.abs(np.array(heard[0].position) - q) <= reach + 1e-9)


def test_only_while_active_it_speaks(space):
    latent = random_latents(1, 1)[0]
    with bench(hand="four_finger", space=str(space.path), state_topic="") as b:
        b.up()
        heard = b.listen(JointState, "/hand/joint_commands")
        b.stream(latent, space, lambda: heard)
        b.node.trigger_deactivate()
        b.spin(0.1)
        heard.clear()
        b.stream(latent, space, lambda: "not active" in b.last_report())
        assert not heard
        b.node.trigger_cleanup()
        b.up()
        b.stream(latent, space, lambda: heard)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"hand": "alegro"}, "allegro"),
        ({"space": "/nowhere"}, "/nowhere"),
        ({"hand": "/nowhere/hand.yaml"}, "no such file"),
    ],
)
def test_what_does_not_fit_fails_to_configure(space, parameters, words, capfd):
    with bench(**{"hand": "allegro", "space": str(space.path), **parameters}) as b:
        assert b.node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert words in "".join(capfd.readouterr())


def test_best_effort_where_the_file_says_so(space, tmp_path):
    text = yaml.safe_load(read_hand("four_finger").path.read_text())
    text["command"]["reliability"] = "best_effort"
    path = tmp_path / "four_finger.yaml"
    path.write_text(yaml.safe_dump(text, sort_keys=False))
    for hand, expected in (
        (str(path), ReliabilityPolicy.BEST_EFFORT),
        ("four_finger", ReliabilityPolicy.RELIABLE),
    ):
        with bench(hand=hand, space=str(space.path), state_topic="") as b:
            b.up()
            b.listen(JointState, "/hand/joint_commands", QoSProfile(depth=1))
            (info,) = b.client.get_publishers_info_by_topic("/hand/joint_commands")
            assert info.qos_profile.reliability == expected


def test_no_torch_is_imported():
    code = "import sys, lam_retarget.retarget_node; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_one_goal_at_a_time_and_only_a_change():
    turns, near = Turns(np.array([0.01])), np.array([0.005])
    first, second = np.array([0.0]), np.array([0.5])
    assert turns.take(first)
    assert not turns.take(second)
    turns.answered(True)
    assert not turns.take(first) and not turns.take(near)
    assert turns.take(second)
    turns.answered(False)
    assert turns.take(second)
