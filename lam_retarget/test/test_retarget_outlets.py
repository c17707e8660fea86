"""Actions and services against real servers: one request at a time, changes only, preemption."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
from nodes_bench import Managed, nodes
from rclpy.action.server import ActionServer, CancelResponse, GoalResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from retarget_bench import DOMAIN, PATIENCE_S
from std_srvs.srv import SetBool

from lam_msgs.action import RunInstruction
from lam_retarget.outlets import ActionOutlet, ServiceOutlet

DEADBAND = np.array([0.01])


class Gripper(Node):
    """A driver that executes one goal until it is released or cancelled."""

    def __init__(self, replaces: bool, context: Context) -> None:
        super().__init__("gripper", context=context)
        self.asked: list[str] = []
        self.accepted: list[str] = []
        self.running = 0
        self.release = threading.Event()
        self._replaces = replaces
        ActionServer(
            self,
            RunInstruction,
            "grip",
            execute_callback=self._execute,
            goal_callback=self._on_goal,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )
        self.create_service(SetBool, "set", self._on_set)
        self.sets: list[bool] = []

    def _on_goal(self, goal: RunInstruction.Goal) -> GoalResponse:
        self.asked.append(goal.instruction)
        if self.running and not self._replaces:
            return GoalResponse.REJECT
        self.accepted.append(goal.instruction)
        self.running += 1
        return GoalResponse.ACCEPT

    def _execute(self, handle) -> RunInstruction.Result:
        while not self.release.is_set() and not handle.is_cancel_requested:
            time.sleep(0.005)
        handle.canceled() if handle.is_cancel_requested else handle.succeed()
        self.running -= 1
        return RunInstruction.Result()

    def _on_set(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.sets.append(request.data)
        response.success = True
        return response


Cell = tuple[Managed, Gripper, Callable[[Callable], None]]


@pytest.fixture(params=[True, False], ids=["replaces", "refuses"])
def cell(request) -> Iterator[Cell]:
    """A node, a gripper that replaces running goals or refuses new ones, and how to wait."""

    def until(done: Callable) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end_s, "it did not happen in time"
            time.sleep(0.01)

    kinds = (partial(Gripper, request.param), partial(Managed, "node"))
    threads = partial(MultiThreadedExecutor, num_threads=4)
    with nodes(DOMAIN, *kinds, executor=threads) as (executor, (gripper, node)):
        thread = threading.Thread(target=executor.spin, daemon=True)
        thread.start()
        try:
            yield node, gripper, until
            gripper.release.set()
            until(lambda: not gripper.running)
        finally:
            gripper.release.set()
            executor.shutdown()
            thread.join()


def test_goals_follow_changes_and_replace_the_running_one(cell):
    node, gripper, until = cell
    outlet = ActionOutlet(node, RunInstruction, "grip", DEADBAND)

    def offer(value: float) -> None:
        if outlet.ready(np.array([value])):
            outlet.send(RunInstruction.Goal(instruction=f"{value:g}"))

    until(lambda: offer(0.0) or gripper.accepted)
    for value in (0.0, 0.005, 0.0):
        offer(value)
    time.sleep(0.1)
    assert gripper.asked == ["0"]
    until(lambda: offer(1.0) or "1" in gripper.accepted)
    assert gripper.accepted == ["0", "1"]
    assert gripper.asked[0] == "0" and set(gripper.asked) == {"0", "1"}
    time.sleep(0.1)
    asked = len(gripper.asked)
    offer(1.0)
    time.sleep(0.1)
    assert len(gripper.asked) == asked


def test_no_flood_while_the_driver_thinks(cell):
    node, gripper, until = cell
    outlet = ServiceOutlet(node, SetBool, "set", DEADBAND)
    until(lambda: outlet.ready(np.array([0.0])))
    assert not any(outlet.ready(np.array([float(i)])) for i in range(10))
    outlet.send(SetBool.Request(data=True))
    until(lambda: outlet.ready(np.array([1.0])))
    assert gripper.sets == [True]
