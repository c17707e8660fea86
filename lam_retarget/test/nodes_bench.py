"""Nodes of a test: made together, and ended in the order that ROS needs, whatever fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import rclpy
from rclpy.action.client import ActionClient
from rclpy.action.server import ActionServer
from rclpy.context import Context
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node


class Managed(LifecycleNode):
    """A managed node that is gone when it is destroyed: rclpy forgets its state machine."""

    def destroy_node(self) -> None:
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()


def end(node: Node) -> None:
    """A node and its actions, which rclpy forgets."""
    for waitable in [*node.waitables]:
        if isinstance(waitable, (ActionClient, ActionServer)):
            waitable.destroy()
    node.destroy_node()


@contextmanager
def nodes(
    domain: int, *makes: Callable[..., Any], executor: Callable[..., Executor] | None = None
) -> Iterator[tuple[Executor, list[Any]]]:
    """Nodes in a context of their own, and the executor that has them.

    makes: what makes a node for `context`. Executor, nodes and context are ended in this order.
    """
    with ExitStack() as ends:
        context = Context()
        rclpy.init(context=context, domain_id=domain)
        ends.callback(context.shutdown)
        made = []
        for make in makes:
            made.append(make(context=context))
            ends.callback(end, made[-1])
        turning = (executor or SingleThreadedExecutor)(context=context)
        ends.callback(turning.shutdown)
        for node in made:
            turning.add_node(node)
        yield turning, made
