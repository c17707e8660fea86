"""policy_node when something goes wrong: when exactly the last zero comes, and that it is the last.

Time is simulated here and goes on a control period at a time, once the node has said what belongs
to the one before: instants are exact on however busy a machine.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from policy_bench import MAX_AGE_S, PERIOD_S, NodeProcess, Robot, folder, is_zero
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, JointState

from lam_models.policy.instant import sine
from lam_msgs.msg import ActionChunk, EndEffectorDelta
from lam_policy_node import messages
from lam_policy_node.messages import time_ns

PERIOD_NS = round(PERIOD_S * 1e9)
MAX_AGE_NS = round(MAX_AGE_S * 1e9)
START_NS = 1_000_000_000_000
# Longer than any limit here, so that nothing but the fault under test ends the motion.
STEPS, LONG_S = 60, 3.0
ROOM = ("watchdog_s:=20.0", "model_timeout_s:=20.0", "use_sim_time:=true")


class Lockstep(Robot):
    """A robot on whose clock a period passes only with `step`."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = START_NS
        self._clock = self.node.create_publisher(Clock, "/clock", 10)
        self.listen(ActionChunk, "/action_chunk")

    def _turn(self) -> None:
        self._executor.spin_once(timeout_sec=0.01)

    def _tell_time(self) -> None:
        self._clock.publish(Clock(clock=messages.header(self.now_ns, "").stamp))

    def ready(self, policy: str) -> None:
        """Swap a policy in, active and moving."""
        self.until(lambda: self._clock.get_subscription_count())
        self.swap(policy)
        self.until(self._goes_on, "no motion")
        # The answers that came meanwhile are in: the plan is long enough for what follows.
        for _ in range(3):
            self.step()

    def _goes_on(self) -> bool:
        self._pass_time()
        self.spin(0.02)
        return len(self.deltas()) > 3 and not is_zero(self.deltas()[-1])

    def _pass_time(self) -> None:
        self.now_ns += PERIOD_NS
        self._tell_time()
        header = messages.header(self.now_ns, "base_link")
        if "front" in self.sending:
            self._front.publish(CompressedImage(header=header, format="jpeg", data=self._jpeg))
        if "joints" in self.sending:
            self._joints.publish(JointState(header=header, name=["thumb"], position=[0.1]))
        if "pose" in self.sending:
            message = PoseStamped(header=header)
            message.pose.position.x = 0.4
            self._pose.publish(message)

    def step(self) -> EndEffectorDelta:
        """A period: the command that belongs to it."""
        self._pass_time()
        self.until(lambda: stamp_ns(self.deltas()[-1]) == self.now_ns, "no command in this period")
        return self.deltas()[-1]

    def steps_to_zero(self) -> int:
        """Go on until the zero; its instant."""
        for _ in range(2 * STEPS):
            if is_zero(self.step()):
                return self.now_ns
        raise AssertionError("no zero came")

    def silence(self) -> None:
        """Nothing more comes, however time goes on."""
        # Topics keep no order among them: what went out before the zero may arrive after it.
        self.spin(0.2)
        count, latents = len(self.deltas()), len(self.heard["/latent_action"])
        assert is_zero(self.deltas()[-1]) and not is_zero(self.deltas()[-2])
        for _ in range(10):
            self._pass_time()
            self.spin(0.02)
        assert len(self.deltas()) == count, "the zero must be the last"
        assert len(self.heard["/latent_action"]) == latents


def stamp_ns(message: EndEffectorDelta) -> int:
    return time_ns(message.header.stamp)


@pytest.fixture(scope="module")
def node(tmp_path_factory) -> Iterator[NodeProcess]:
    with NodeProcess(wave(tmp_path_factory.mktemp("first")), *ROOM) as node:
        yield node


@pytest.fixture(scope="module")
def robot(node) -> Iterator[Lockstep]:
    with closing(Lockstep()) as robot:
        yield robot


def wave(path: Path, bad_step: int | None = None) -> str:
    """A policy that moves at all times, but for one step of nonsense in its round."""
    motion = np.abs(sine(0.02, 4 * LONG_S, PERIOD_S)) + 1e-4
    if bad_step is not None:
        motion[bad_step, 1] = np.nan
    state = {"ee": tuple("abcdef"), "hand": ("thumb",)}
    return folder(path / "wave", motion, state, chunk_steps=STEPS)


@pytest.mark.parametrize("stream", ["front", "pose", "joints"])
def test_a_stale_stream(robot, tmp_path, stream):
    robot.ready(wave(tmp_path))
    robot.sending.remove(stream)
    newest_ns = robot.now_ns
    stale_ns = robot.steps_to_zero() - newest_ns - MAX_AGE_NS
    assert 0 < stale_ns <= PERIOD_NS
    robot.silence()


def test_a_dead_worker(robot, node, tmp_path):
    robot.ready(wave(tmp_path))
    (child,) = node.children()
    os.kill(child, signal.SIGKILL)
    robot.until(lambda: not node.children())
    assert is_zero(robot.step()), "the next period must begin with a zero"
    robot.silence()


def test_nonsense_in_sight(robot, tmp_path):
    """Only a part of the round is sound: the node stops before the step that is not is due."""
    rounds = round(4 * LONG_S / PERIOD_S)
    due = (robot.now_ns // PERIOD_NS + STEPS + 40) % rounds
    robot.ready(wave(tmp_path, due))
    asked_from_ns = robot.now_ns
    zero_ns = robot.steps_to_zero()
    left = (due - asked_from_ns // PERIOD_NS) % rounds
    assert zero_ns < asked_from_ns + left * PERIOD_NS
    for delta in robot.deltas():
        assert np.isfinite([delta.translation.x, delta.translation.y, delta.translation.z]).all()
    robot.silence()


def test_an_exhausted_chunk(robot, node, tmp_path):
    robot.ready(wave(tmp_path))
    (child,) = node.children()
    os.kill(child, signal.SIGSTOP)
    for _ in range(5):  # An answer that was on its way may still come.
        robot.step()
        robot.spin(0.05)
    chunk = robot.heard["/action_chunk"][-1][1]
    end_ns = time_ns(chunk.start) + chunk.horizon * time_ns(chunk.step_duration)
    assert 0 <= robot.steps_to_zero() - end_ns < PERIOD_NS
    assert robot.heard["/action_chunk"][-1][1] is chunk
    robot.silence()
    os.kill(child, signal.SIGCONT)


def test_deactivation(robot, tmp_path):
    robot.ready(wave(tmp_path))
    assert robot.change("deactivate")
    robot.until(lambda: is_zero(robot.deltas()[-1]))
    assert stamp_ns(robot.deltas()[-1]) == robot.now_ns, "at once, not at the next beat"
    robot.silence()
