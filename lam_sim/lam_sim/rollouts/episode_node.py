"""Who begins episodes of a launched robot, tells its policy what to do and watches how they end.

A plain client of the topics and services that any robot with these nodes has: ResetWorld begins an
episode, RunInstruction runs the policy until EpisodeInfo says that it is over.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.action.client import ActionClient
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage

from lam_models.command import UserError
from lam_msgs.action import RunInstruction
from lam_msgs.msg import EpisodeInfo, PolicyStatus, SafetyVerdict
from lam_sim import messages
from lam_sim.rollouts.driven import Driven, Pictures
from lam_sim.rollouts.robot_node import ANSWER_S, LATCHED, POLL_S, READY_S, SLOWEST, RobotClient
from lam_sim.worlds import EpisodeJob

MANAGED = ("policy_node", "retarget_node")


class EpisodeClient(RobotClient):
    """Plays episodes on the robot of a ROS domain. fault: why it does not run any more, or ""."""

    def __init__(self, domain: int, fault: Callable[[], str], cameras: tuple[str, ...]) -> None:
        super().__init__("lam_eval", domain, fault)
        node = self.node
        self._states = [node.create_client(GetState, f"{name}/get_state") for name in MANAGED]
        self._action = ActionClient(node, RunInstruction, "run_instruction")
        self._status = PolicyStatus()
        self._verdicts: Counter[str] = Counter()
        self.pictures: Pictures = {}
        node.create_subscription(PolicyStatus, "policy_status", self._on_status, LATCHED)
        node.create_subscription(SafetyVerdict, "safety_verdict", self._on_verdict, 50)
        for camera in cameras:
            node.create_subscription(
                CompressedImage,
                f"{camera}/image_raw/compressed",
                partial(self._on_picture, camera),
                qos_profile_sensor_data,
            )

    def wait_until_active(self) -> None:
        """UserError where the nodes are not at work in time."""
        end_s = time.monotonic() + READY_S
        for client, name in zip(self._states, MANAGED, strict=True):
            while not self._is_active(client):
                self.spin_until(lambda: False, POLL_S)
                if time.monotonic() > end_s:
                    raise UserError(f"{name} is not active after {READY_S:g} s")
        self.need_simulator()
        self.need(self._action.server_is_ready, "policy_node offers no run_instruction")

    def play(self, job: EpisodeJob, limit_s: float) -> Driven:
        """One episode. UserError where the robot or its policy failed, which is no result."""
        self._verdicts, self.pictures, began_s = Counter(), {}, time.monotonic()
        begun = self.begin(job)
        goal = RunInstruction.Goal(instruction=begun.instruction)
        goal.timeout = messages.duration_message(2.0 * limit_s)
        handle = self.done(self._action.send_goal_async(goal), "run_instruction")
        if not handle.accepted:
            raise UserError(f"{job}: policy_node refused to run: {self._status.reason}")
        result = self.done(handle.get_result_async(), "run_instruction", SLOWEST * limit_s).result
        if result.outcome in (result.OUTCOME_FAULT, result.OUTCOME_CANCELLED):
            raise UserError(f"{job}: the policy failed: {result.message}")
        self.need(self.has_ended, f"{job}: the episode did not end")
        self.episode_id = ""
        return Driven(
            seed=job.seed,
            instruction=begun.instruction,
            success=self.info.state == EpisodeInfo.STATE_SUCCEEDED,
            duration_s=self.duration_s(),
            wall_s=time.monotonic() - began_s,
            verdicts=dict(self._verdicts),
            latency_s=(self._status.latency_p50_s, self._status.latency_p95_s),
        )

    def _is_active(self, client: Any) -> bool:
        if not client.service_is_ready():
            return False
        future = client.call_async(GetState.Request())
        self.spin_until(future.done, ANSWER_S)
        answer = future.result() if future.done() else None
        return answer is not None and answer.current_state.id == State.PRIMARY_STATE_ACTIVE

    def _on_status(self, message: PolicyStatus) -> None:
        self._status = message

    def _on_verdict(self, message: SafetyVerdict) -> None:
        stopped = message.verdict == SafetyVerdict.VERDICT_STOPPED
        kinds = [f"stopped by {name}" if stopped else name for name in message.limits]
        self._verdicts.update(["judged", *kinds])

    def _on_picture(self, camera: str, message: CompressedImage) -> None:
        if self.episode_id:
            stamp_ns = messages.time_ns(message.header.stamp)
            self.pictures.setdefault(camera, []).append((stamp_ns, bytes(message.data)))
