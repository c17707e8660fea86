"""How a node of this package lives in its process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from lam_models.command import UserError
from lam_models.stopping import StopRequest


def run(name: str, make: Callable[[], Node]) -> None:
    """Let a node work until the process is interrupted.

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
            while not stop:
                executor.spin_once(timeout_sec=0.1)
        except UserError as error:
            sys.exit(f"{name}: {error}")
