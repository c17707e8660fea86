"""A bench for the nodes of teleoperation: one node, and a client that speaks and listens to it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.context import Context
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from lam_msgs.msg import EndEffectorDelta
from lam_teleop import command_messages as messages

# Low domains are what people use; above 101 lie ephemeral ports.
DOMAIN = 40 + os.getpid() % 60
PATIENCE_S = 60.0


class Bench:
    """Nodes under test and a client of them, all of them the executor's."""

    def __init__(self, executor: Executor, client: Node) -> None:
        self._executor, self.client = executor, client
        self.reports: list[Any] = []
        self.client.create_subscription(DiagnosticArray, "/diagnostics", self.reports.append, 10)

    def listen(self, kind: type, topic: str, qos: Any = 10) -> list[Any]:
        """Every message of a topic from now on, in the list that is returned."""
        heard: list[Any] = []
        self.client.create_subscription(kind, topic, heard.append, qos)
        self.until(lambda: self.client.count_publishers(topic))
        return heard

    def publisher(self, kind: type, topic: str, qos: Any = 10) -> Any:
        """A publisher that is heard."""
        made = self.client.create_publisher(kind, topic, qos)
        self.until(made.get_subscription_count)
        return made

    def until(self, done: Callable[[], Any], between: Callable[[], Any] = lambda: None) -> None:
        """Handle what comes until `done`, or fail. between: done again and again meanwhile."""
        end_s = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end_s, "it did not happen in time"
            between()
            self._executor.spin_once(timeout_sec=0.02)

    def spin(self, duration_s: float) -> None:
        """Handle what comes for a while."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left_s)

    def quiet(self, heard: list[Any], duration_s: float = 0.3) -> None:
        """Nothing more comes on a topic."""
        count = len(heard)
        self.spin(duration_s)
        assert len(heard) == count

    def said(self) -> str:
        """Text of the latest diagnostics."""
        return self.reports[-1].status[0].message if self.reports else ""


@contextmanager
def bench(*kinds: Callable[..., Any], **parameters: Any) -> Iterator[Bench]:
    """Running nodes of these kinds with the same parameters."""
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    with ExitStack() as ends:
        # Whatever fails: the executor ends first, then the nodes, then their context.
        context = Context()
        rclpy.init(context=context, domain_id=DOMAIN)
        ends.callback(context.shutdown)
        nodes: list[Node] = []
        for kind in (*kinds, partial(Node, "client")):
            nodes.append(kind(context=context, parameter_overrides=overrides))
            ends.callback(nodes[-1].destroy_node)
        executor = SingleThreadedExecutor(context=context)
        ends.callback(executor.shutdown)
        for node in nodes:
            executor.add_node(node)
        yield Bench(executor, nodes[-1])


def delta(source: str, x_m: float = 0.001, age_ns: int = 0) -> EndEffectorDelta:
    """A motion along x, due now or a while ago."""
    motion = np.array([x_m, 0.0, 0.0, 0.0, 0.0, 0.0])
    return messages.delta_message(motion, "base_link", time.time_ns() - age_ns, 50_000_000, source)


def still(message: EndEffectorDelta) -> bool:
    """Whether it is a zero motion."""
    return not messages.motion_of(message).any()
