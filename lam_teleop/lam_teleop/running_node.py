"""How a node of this package lives in its process: from its making to a farewell."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from lam_models.command import UserError
from lam_models.stopping import StopRequest

N = TypeVar("N", bound=Node)


@contextmanager
def running(name: str, make: Callable[[], N]) -> Iterator[tuple[N, Callable[[], bool]]]:
    """A node, and what lets it work for a moment: False where it is to stop instead.

    A UserError ends the process with one line that begins with `name`.
    """
    stop = StopRequest()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    with ExitStack() as ends:
        # ROS wants its things ended in the opposite order of their making.
        ends.callback(rclpy.shutdown)
        try:
            node = make()
            ends.callback(node.destroy_node)
            executor = SingleThreadedExecutor()
            ends.callback(executor.shutdown)
            executor.add_node(node)

            def work() -> bool:
                if not stop:
                    executor.spin_once(timeout_sec=0.1)
                return not stop

            yield node, work
        except UserError as error:
            sys.exit(f"{name}: {error}")


def run(name: str, make: Callable[[], N], farewell: Callable[[N], None]) -> None:
    """Let a node work until the process is interrupted, and say farewell whatever happens."""
    with running(name, make) as (node, work):
        try:
            while work():
                pass
        finally:
            farewell(node)
