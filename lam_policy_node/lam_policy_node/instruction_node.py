"""Who tells the policy what to do: a topic, a service, an action, and the episode.

The newest word counts. While an action runs, only it counts; when it ends, there is no instruction
any more, and the arm stands still.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from rclpy.action.server import ActionServer, CancelResponse, GoalResponse
from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

from lam_msgs.action import RunInstruction
from lam_msgs.msg import EpisodeInfo
from lam_msgs.srv import SetInstruction
from lam_policy_node.messages import duration_message, time_ns
from lam_policy_node.params import PolicySettings

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_FEEDBACK_NS = 200_000_000
Result = RunInstruction.Result


@dataclass(frozen=True)
class Standing:
    """How the node is. fault, holding: why it failed or stands still, "" where it does not."""

    active: bool
    fault: str
    holding: str
    commands: int


class Obeyer(Protocol):
    """What the node offers to those who instruct it."""

    def instruct(self, instruction: str) -> None: ...

    def begin_episode(self, began_ns: int) -> None: ...

    def standing(self) -> Standing: ...


@dataclass
class _Goal:
    handle: Any
    started_ns: int
    timeout_ns: int
    commands_before: int
    shown_ns: int = 0
    outcome: tuple[int, str] | None = None


class Instructions:
    """The channels. `tick` brings a running action on."""

    def __init__(self, node: Node, settings: PolicySettings, obeyer: Obeyer) -> None:
        self._node, self._settings, self._obeyer = node, settings, obeyer
        self._goal: _Goal | None = None
        self._episode = EpisodeInfo()
        node.create_subscription(String, settings.instruction_topic, self._on_topic, 10)
        node.create_service(SetInstruction, "set_instruction", self._on_service)
        if settings.episode_topic:
            node.create_subscription(EpisodeInfo, settings.episode_topic, self._on_episode, LATCHED)
        self._server = ActionServer(
            node,
            RunInstruction,
            "run_instruction",
            execute_callback=self._result,
            goal_callback=self._on_goal,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
        )

    @property
    def episode_id(self) -> str:
        return self._episode.episode_id

    def finish(self, executor: Executor) -> None:
        """Let a running action's client hear how it ended, but not for ever."""
        for _ in range(20):
            if self._goal is not None:
                executor.spin_once(timeout_sec=0.05)

    def tick(self, now_ns: int) -> None:
        """Show how the action is going, and end it where it has ended."""
        goal, standing = self._goal, self._obeyer.standing()
        if goal is None or goal.outcome is not None:
            return
        if goal.handle.is_cancel_requested:
            self._end(Result.OUTCOME_CANCELLED, "cancelled")
        elif not standing.active:
            self._end(Result.OUTCOME_FAULT, "the node is not active any more")
        elif standing.fault:
            self._end(Result.OUTCOME_FAULT, standing.fault)
        elif now_ns - goal.started_ns > goal.timeout_ns:
            self._end(Result.OUTCOME_TIMEOUT, f"not done after {goal.timeout_ns / 1e9:g} s")
        elif now_ns - goal.shown_ns >= _FEEDBACK_NS:
            goal.shown_ns = now_ns
            goal.handle.publish_feedback(
                RunInstruction.Feedback(
                    elapsed=duration_message(now_ns - goal.started_ns),
                    commands=standing.commands - goal.commands_before,
                    holding=bool(standing.holding),
                    reason=standing.holding,
                )
            )

    def _on_topic(self, message: String) -> None:
        if fault := self._refusal(message.data):
            self._node.get_logger().warning(f"instruction '{message.data}' refused: {fault}")
        else:
            self._obeyer.instruct(message.data)

    def _on_service(
        self, request: SetInstruction.Request, response: SetInstruction.Response
    ) -> SetInstruction.Response:
        response.message = self._refusal(request.instruction)
        response.success = not response.message
        if response.success:
            self._obeyer.instruct(request.instruction)
        return response

    def _refusal(self, instruction: str) -> str:
        if not instruction.strip():
            return "the instruction is empty"
        return "a RunInstruction is under way" if self._goal is not None else ""

    def _on_episode(self, message: EpisodeInfo) -> None:
        new = message.episode_id != self._episode.episode_id
        self._episode = message
        if new and message.state == EpisodeInfo.STATE_RUNNING:
            self._obeyer.begin_episode(time_ns(message.header.stamp))
        goal, ended = self._goal, message.state
        if goal is not None and goal.outcome is None:
            if ended == EpisodeInfo.STATE_SUCCEEDED:
                self._end(Result.OUTCOME_SUCCEEDED, "the episode succeeded")
            elif ended in (EpisodeInfo.STATE_FAILED, EpisodeInfo.STATE_DISCARDED):
                self._end(Result.OUTCOME_TIMEOUT, "the episode ended without success")
        elif new and self._settings.follow_episodes and message.instruction:
            self._obeyer.instruct(message.instruction)

    def _on_goal(self, request: RunInstruction.Goal) -> GoalResponse:
        fault = self._refusal(request.instruction)
        if not self._obeyer.standing().active:
            fault = "the node is not active"
        if fault:
            self._node.get_logger().warning(f"run_instruction refused: {fault}")
        return GoalResponse.REJECT if fault else GoalResponse.ACCEPT

    def _on_accepted(self, handle: Any) -> None:
        timeout_ns = time_ns(handle.request.timeout) or round(self._settings.run_timeout_s * 1e9)
        now_ns = self._node.get_clock().now().nanoseconds
        self._goal = _Goal(handle, now_ns, timeout_ns, self._obeyer.standing().commands)
        self._obeyer.instruct(handle.request.instruction)

    def _end(self, outcome: int, message: str) -> None:
        """The goal is executed only now: a callback that waits would keep rclpy's executor busy."""
        assert self._goal is not None
        self._obeyer.instruct("")
        self._goal.outcome = outcome, message
        self._goal.handle.execute()

    def _result(self, handle: Any) -> RunInstruction.Result:
        goal, self._goal = self._goal, None
        assert goal is not None and goal.outcome is not None
        outcome, message = goal.outcome
        if outcome == Result.OUTCOME_CANCELLED:
            handle.canceled()
        elif outcome == Result.OUTCOME_SUCCEEDED:
            handle.succeed()
        else:
            handle.abort()
        now_ns = self._node.get_clock().now().nanoseconds
        return Result(
            outcome=outcome,
            message=message,
            elapsed=duration_message(now_ns - goal.started_ns),
            commands=self._obeyer.standing().commands - goal.commands_before,
        )
