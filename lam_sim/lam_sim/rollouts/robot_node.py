"""A client of a launched simulated robot: begins episodes and waits for what becomes of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile

from lam_models.command import UserError
from lam_msgs.msg import EpisodeInfo
from lam_msgs.srv import ResetWorld
from lam_sim import messages
from lam_sim.worlds import EpisodeJob

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# Wall time, on a machine that is busy with other things.
READY_S, ANSWER_S, SLOWEST = 360.0, 60.0, 40.0
POLL_S = 0.1


class RobotClient:
    """A node of its own in a ROS domain. fault: why the robot does not run any more, or ""."""

    def __init__(self, name: str, domain: int, fault: Callable[[], str]) -> None:
        self._fault = fault
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        self._context = Context()
        self._context.init(domain_id=domain)
        follow = Parameter("use_sim_time", value=True)
        self.node = Node(name, context=self._context, parameter_overrides=[follow])
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._reset = self.node.create_client(ResetWorld, "reset_world")
        self.info, self.episode_id = EpisodeInfo(), ""
        self.node.create_subscription(EpisodeInfo, "episode", self._on_info, LATCHED)

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def is_alone(self) -> bool:
        """Whether there is one robot only in this domain."""
        return self.node.count_publishers("/episode") == 1

    def need_simulator(self) -> None:
        """UserError where there is none."""
        self.need(self._reset.service_is_ready, "the simulator offers no reset_world", READY_S)

    def begin(self, job: EpisodeJob) -> ResetWorld.Response:
        """A new episode. UserError where there is no such scene."""
        choice = job.choice
        request = ResetWorld.Request(
            task=choice.task,
            end_effector=choice.hand,
            seed=job.seed,
            difficulty=choice.difficulty,
            distractors=list(choice.distractors),
        )
        begun = self.done(self._reset.call_async(request), "reset_world")
        if not begun.success:
            raise UserError(f"{job}: {begun.message}")
        self.episode_id = begun.episode_id
        return begun

    def has_ended(self) -> bool:
        """Whether the simulator said so of the episode that was begun last."""
        ours = self.info.episode_id == self.episode_id
        return ours and self.info.state != EpisodeInfo.STATE_RUNNING

    def duration_s(self) -> float:
        """Of the episode that has ended, in simulated time."""
        return messages.time_ns(self.info.elapsed) / 1e9

    def now_ns(self) -> int:
        """The robot's clock."""
        return self.node.get_clock().now().nanoseconds

    def done(self, future: Any, what: str, timeout_s: float = ANSWER_S) -> Any:
        """A service's answer."""
        self.need(future.done, f"{what} did not answer", timeout_s)
        return future.result()

    def need(self, done: Callable[[], bool], fault: str, timeout_s: float = ANSWER_S) -> None:
        """UserError where `done` takes too long."""
        if not self.spin_until(done, timeout_s):
            raise UserError(f"{fault} within {timeout_s:g} s")

    def spin_until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Handle messages until `done`; False where that took too long."""
        end_s = time.monotonic() + timeout_s
        while not done():
            if fault := self._fault():
                raise UserError(fault)
            if time.monotonic() > end_s:
                return False
            self._executor.spin_once(timeout_sec=POLL_S)
        return True

    def _on_info(self, message: EpisodeInfo) -> None:
        self.info = message
