"""What the demo says to a launched policy: one instruction an episode, as an action."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rclpy.action.client import ActionClient
from rclpy.node import Node

from lam_models.command import UserError
from lam_msgs.action import RunInstruction

MANAGED = ("policy_node", "retarget_node")
# Wall time: a network is loaded, perhaps on a machine that is busy with other things.
READY_S, ANSWER_S, POLL_S = 360.0, 30.0, 0.2


class PolicyClient:
    """Has the policy follow instructions.

    spin_until: handles messages until a condition holds; False where that took too many seconds.
    """

    def __init__(self, node: Node, spin_until: Callable[[Callable[[], bool], float], bool]) -> None:
        self._spin_until = spin_until
        self._states = [node.create_client(GetState, f"{name}/get_state") for name in MANAGED]
        self._action = ActionClient(node, RunInstruction, "run_instruction")
        self._goal: Any = None
        self._result: Any = None

    def close(self) -> None:
        self._action.destroy()

    def wait_until_active(self) -> None:
        """UserError where the nodes are not at work in time."""
        end_s = time.monotonic() + READY_S
        for client, name in zip(self._states, MANAGED, strict=True):
            while not self._is_active(client):
                if time.monotonic() > end_s:
                    raise UserError(f"{name} is not active after {READY_S:g} s")
                self._spin_until(lambda: False, POLL_S)
        self._need(self._action.server_is_ready, "policy_node offers no run_instruction")

    def begin(self, instruction: str) -> None:
        """Have it do something. UserError where it refuses."""
        sent: Any = self._action.send_goal_async(RunInstruction.Goal(instruction=instruction))
        self._need(sent.done, "policy_node did not answer run_instruction")
        self._goal = sent.result()
        if not self._goal.accepted:
            raise UserError("policy_node refused to run; its log says why")
        self._result = self._goal.get_result_async()

    def fault(self) -> str:
        """Why it cannot go on with what it was told, "" where it can."""
        if self._result is None or not self._result.done():
            return ""
        result = self._result.result().result
        failed = result.outcome == RunInstruction.Result.OUTCOME_FAULT
        return f"the policy failed: {result.message}" if failed else ""

    def end(self) -> None:
        """Have it stand still; it does so by itself where the episode has ended."""
        if not self._result.done():
            self._goal.cancel_goal_async()
        self._need(self._result.done, "policy_node did not end its run")

    def _need(self, done: Callable[[], bool], fault: str) -> None:
        if not self._spin_until(done, ANSWER_S):
            raise UserError(f"{fault} within {ANSWER_S:g} s")

    def _is_active(self, client: Any) -> bool:
        if not client.service_is_ready():
            return False
        future = client.call_async(GetState.Request())
        self._spin_until(future.done, ANSWER_S)
        answer = future.result() if future.done() else None
        return answer is not None and answer.current_state.id == State.PRIMARY_STATE_ACTIVE
