"""arbiter_node with real DDS: who is forwarded, as whom, and what is said of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool
from teleop_bench import Bench, bench, delta, still

from lam_models.command import UserError
from lam_models.types import LatentSpec
from lam_msgs.msg import EndEffectorDelta, LatentAction
from lam_teleop.arbiter_node import ArbiterNode
from lam_teleop.arbitration import SOURCES
from lam_teleop.command_messages import SOURCES as NUMBERS
from lam_teleop.command_messages import latent_message, time_message

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SPACE = LatentSpec("hand/test", "hand", (1, 4))


class Arbitrated:
    """A robot's ears, and a mouth for each source."""

    def __init__(self, b: Bench) -> None:
        self.bench = b
        self.arm = b.listen(EndEffectorDelta, "/ee_delta")
        self.latents = b.listen(LatentAction, "/latent_action")
        self.joints = b.listen(JointState, "/hand/joint_commands")
        self.owners = b.listen(String, "/command_source", LATCHED)
        self._arms, self._latents, self._joints = (
            {source: b.publisher(kind, f"/{source}/{name}") for source in SOURCES}
            for kind, name in (
                (EndEffectorDelta, "ee_delta"),
                (LatentAction, "latent_action"),
                (JointState, "hand_joints"),
            )
        )

    def move(self, source: str, x_m: float = 0.001, **fields: Any) -> None:
        """One command of a source."""
        self._arms[source].publish(delta(fields.pop("said", source), x_m, **fields))

    def grip(self, source: str, value: float) -> None:
        """One hand latent of a source."""
        latent = np.full(4, value)
        self._latents[source].publish(latent_message(latent, SPACE, "hash", time.time_ns()))

    def bend(self, source: str, value: float) -> None:
        """One command of the hand's joints of a source."""
        message = JointState(name=["finger"], position=[value])
        message.header.stamp = time_message(time.time_ns())
        self._joints[source].publish(message)

    def owner(self) -> str:
        """Who was last said to command."""
        return self.owners[-1].data if self.owners else ""

    def sources(self) -> list[int]:
        """Of the arm's commands so far."""
        return [message.source for message in self.arm]


@pytest.fixture
def robot() -> Iterator[Arbitrated]:
    """A robot behind a running arbiter."""
    # A busy machine may pause between two commands of a source that has not given up.
    with bench(ArbiterNode, silence_s=1.0, hold_off_s=1.5) as b:
        yield Arbitrated(b)


def test_a_person_takes_over_from_a_policy_and_gives_it_back(robot):
    b = robot.bench
    b.until(lambda: len(robot.arm) >= 5, lambda: robot.move("policy"))
    assert robot.owner() == "policy"

    def both() -> None:
        robot.move("policy")
        robot.move("teleop", 0.002)

    teleop = NUMBERS["teleop"]
    b.until(lambda: robot.sources().count(teleop) >= 5, both)
    first = robot.sources().index(teleop)
    assert robot.sources()[first:] == [teleop] * (len(robot.arm) - first)
    assert still(robot.arm[first]) and not still(robot.arm[first + 1])
    assert robot.owner() == "teleop"

    robot.move("teleop", 0.0)
    b.until(lambda: robot.sources()[-1] == NUMBERS["policy"], lambda: robot.move("policy"))
    b.until(lambda: robot.owner() == "policy")
    assert [m.data for m in robot.owners if m.data != "none"] == ["policy", "teleop", "policy"]
    for name in ("policy", "teleop"):
        numbers = [m.sequence for m in robot.arm if m.source == NUMBERS[name]]
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_person_who_falls_silent_stops_the_arm_once(robot):
    b = robot.bench
    b.until(lambda: robot.arm, lambda: robot.move("teleop"))
    b.until(lambda: still(robot.arm[-1]))
    b.until(lambda: [m.data for m in robot.owners[-2:]] == ["teleop", "none"])
    assert [still(m) for m in robot.arm[-2:]] == [False, True]
    assert set(robot.sources()) == {NUMBERS["teleop"]}
    b.quiet(robot.arm)


def test_the_hand_follows_who_commands(robot):
    b = robot.bench
    b.until(lambda: robot.latents, lambda: robot.grip("policy", 0.5))
    # A person who only moves the arm has the hand, too.
    b.until(lambda: robot.owner() == "teleop", lambda: robot.move("teleop"))
    b.spin(0.1)
    robot.latents.clear()

    def all_of_them() -> None:
        robot.grip("policy", 0.5)
        robot.bend("expert", 0.5)
        robot.grip("teleop", 0.25)
        robot.bend("teleop", 0.25)

    b.until(lambda: len(robot.latents) >= 3 and len(robot.joints) >= 3, all_of_them)
    assert {tuple(m.values) for m in robot.latents} == {(0.25,) * 4}
    assert {tuple(m.position) for m in robot.joints} == {(0.25,)}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"said": "policy"}, "says source 'policy'"),
        ({"age_ns": 10**9}, "s old"),
        ({"age_ns": -(10**9)}, "ahead"),
        ({"x_m": float("nan")}, "not finite"),
    ],
)
def test_what_is_wrong_of_a_person_is_refused_and_nobody_else_commands(robot, fields, said):
    def both() -> None:
        robot.move("teleop", **fields)
        robot.move("policy")

    robot.bench.until(lambda: said in robot.bench.said(), both)
    assert not robot.arm
    robot.bench.until(lambda: robot.owner() == "teleop", both)
    assert not robot.arm


def test_disabled_nobody_commands(robot):
    b = robot.bench
    b.until(lambda: robot.arm, lambda: robot.move("policy"))
    enable = b.client.create_client(SetBool, "/arbiter_node/enable")
    b.until(enable.service_is_ready)

    def ask(on: bool) -> None:
        future = enable.call_async(SetBool.Request(data=on))
        b.until(future.done)

    ask(False)
    b.until(lambda: still(robot.arm[-1]))
    count = len(robot.arm)
    b.until(lambda: b.said() == "disabled", lambda: robot.move("policy"))
    b.spin(0.1)
    assert len(robot.arm) == count
    ask(True)
    b.until(lambda: not still(robot.arm[-1]), lambda: robot.move("policy"))


def test_what_cannot_be_is_one_sentence():
    with pytest.raises(UserError, match="hold_off_s"), bench(ArbiterNode, hold_off_s=0.05):
        pass
