"""Who hands messages to the node, as its parameter `executor` says."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node

from lam_models.stopping import StopRequest

if TYPE_CHECKING:
    from lam_policy_node.policy_node import PolicyNode


def executor_with(node: Node) -> Executor:
    """One that has this node; where rclpy knows no quicker one, the older one."""
    executor: Executor = SingleThreadedExecutor()
    if node.get_parameter("executor").value == "events":
        with suppress(ImportError):
            from rclpy.experimental.events_executor import EventsExecutor

            executor = EventsExecutor()
    executor.add_node(node)
    return executor


def keep_turning(node: PolicyNode, stop: StopRequest) -> None:
    """Callbacks, and between them what is due, until it has to stop."""
    executor = executor_with(node)
    while not stop:
        executor.spin_once(timeout_sec=node.wait_s())
        node.turn()
    node.finish(executor)
