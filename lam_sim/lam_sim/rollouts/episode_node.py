"""Who begins episodes of a launched robot, tells its policy what to do and watches how they end.

A plain client of the topics and services that any robot with these nodes has: ResetWorld begins an
episode, RunInstruction runs the policy until EpisodeInfo says that it is over.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.action.client import ActionClient
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage

from lam_models.command import UserError
from lam_msgs.action import RunInstruction
from lam_msgs.msg import EpisodeInfo, PolicyStatus, SafetyVerdict
from lam_msgs.srv import ResetWorld
from lam_sim import messages
from lam_sim.rollouts.driven import Driven, Pictures
from lam_sim.worlds import EpisodeJob

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MANAGED = ("policy_node", "retarget_node")
# Wall time, on a machine that is busy with other things.
READY_S, ANSWER_S, SLOWEST = 360.0, 60.0, 40.0
_POLL_S = 0.1


class EpisodeClient:
    """Plays episodes on the robot of a ROS domain. fault: why it does not run any more, or ""."""

    def __init__(self, domain: int, fault: Callable[[], str], cameras: tuple[str, ...]) -> None:
        self._fault = fault
        os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        self._context = Context()
        self._context.init(domain_id=domain)
        self._node = Node("lam_eval", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        node = self._node
        self._reset = node.create_client(ResetWorld, "reset_world")
        self._states = [node.create_client(GetState, f"{name}/get_state") for name in MANAGED]
        self._action = ActionClient(node, RunInstruction, "run_instruction")
        self._info, self._status = EpisodeInfo(), PolicyStatus()
        self._verdicts: Counter[str] = Counter()
        self._episode_id = ""
        self.pictures: Pictures = {}
        node.create_subscription(EpisodeInfo, "episode", self._on_info, LATCHED)
        node.create_subscription(PolicyStatus, "policy_status", self._on_status, LATCHED)
        node.create_subscription(SafetyVerdict, "safety_verdict", self._on_verdict, 50)
        for camera in cameras:
            node.create_subscription(
                CompressedImage,
                f"{camera}/image_raw/compressed",
                partial(self._on_picture, camera),
                qos_profile_sensor_data,
            )

    def close(self) -> None:
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()

    def wait_until_active(self) -> None:
        """UserError where the nodes are not at work in time."""
        end_s = time.monotonic() + READY_S
        for client, name in zip(self._states, MANAGED, strict=True):
            while not self._is_active(client):
                self._spin_until(lambda: False, _POLL_S)
                if time.monotonic() > end_s:
                    raise UserError(f"{name} is not active after {READY_S:g} s")
        self._need(self._reset.service_is_ready, "the simulator offers no reset_world")
        self._need(self._action.server_is_ready, "policy_node offers no run_instruction")

    def is_alone(self) -> bool:
        """Whether there is one robot only in this domain."""
        return self._node.count_publishers("/episode") == 1

    def play(self, job: EpisodeJob, limit_s: float) -> Driven:
        """One episode. UserError where the robot or its policy failed, which is no result."""
        self._verdicts, self.pictures, began_s = Counter(), {}, time.monotonic()
        begun = self._begin(job)
        goal = RunInstruction.Goal(instruction=begun.instruction)
        goal.timeout = messages.duration_message(2.0 * limit_s)
        handle = self._done(self._action.send_goal_async(goal), "run_instruction")
        if not handle.accepted:
            raise UserError(f"{job}: policy_node refused to run: {self._status.reason}")
        result = self._done(handle.get_result_async(), "run_instruction", SLOWEST * limit_s).result
        if result.outcome in (result.OUTCOME_FAULT, result.OUTCOME_CANCELLED):
            raise UserError(f"{job}: the policy failed: {result.message}")
        self._need(self._has_ended, f"{job}: the episode did not end")
        duration_s = messages.time_ns(self._info.elapsed) / 1e9
        self._episode_id = ""
        return Driven(
            seed=job.seed,
            instruction=begun.instruction,
            success=self._info.state == EpisodeInfo.STATE_SUCCEEDED,
            duration_s=duration_s,
            wall_s=time.monotonic() - began_s,
            verdicts=dict(self._verdicts),
            latency_s=(self._status.latency_p50_s, self._status.latency_p95_s),
        )

    def _begin(self, job: EpisodeJob) -> ResetWorld.Response:
        choice = job.choice
        request = ResetWorld.Request(
            task=choice.task,
            end_effector=choice.hand,
            seed=job.seed,
            difficulty=choice.difficulty,
            distractors=list(choice.distractors),
        )
        begun = self._done(self._reset.call_async(request), "reset_world")
        if not begun.success:
            raise UserError(f"{job}: {begun.message}")
        self._episode_id = begun.episode_id
        return begun

    def _is_active(self, client: Any) -> bool:
        if not client.service_is_ready():
            return False
        future = client.call_async(GetState.Request())
        self._spin_until(future.done, ANSWER_S)
        answer = future.result() if future.done() else None
        return answer is not None and answer.current_state.id == State.PRIMARY_STATE_ACTIVE

    def _has_ended(self) -> bool:
        ours = self._info.episode_id == self._episode_id
        return ours and self._info.state != EpisodeInfo.STATE_RUNNING

    def _done(self, future: Any, what: str, timeout_s: float = ANSWER_S) -> Any:
        self._need(future.done, f"{what} did not answer", timeout_s)
        return future.result()

    def _need(self, done: Callable[[], bool], fault: str, timeout_s: float = ANSWER_S) -> None:
        if not self._spin_until(done, timeout_s):
            raise UserError(f"{fault} within {timeout_s:g} s")

    def _spin_until(self, done: Callable[[], bool], timeout_s: float) -> bool:
        """Handle messages until `done`; False where that took too long."""
        end_s = time.monotonic() + timeout_s
        while not done():
            if fault := self._fault():
                raise UserError(fault)
            if time.monotonic() > end_s:
                return False
            self._executor.spin_once(timeout_sec=_POLL_S)
        return True

    def _on_info(self, message: EpisodeInfo) -> None:
        self._info = message

    def _on_status(self, message: PolicyStatus) -> None:
        self._status = message

    def _on_verdict(self, message: SafetyVerdict) -> None:
        stopped = message.verdict == SafetyVerdict.VERDICT_STOPPED
        kinds = [f"stopped by {name}" if stopped else name for name in message.limits]
        self._verdicts.update(["judged", *kinds])

    def _on_picture(self, camera: str, message: CompressedImage) -> None:
        if self._episode_id:
            stamp_ns = messages.time_ns(message.header.stamp)
            self.pictures.setdefault(camera, []).append((stamp_ns, bytes(message.data)))
