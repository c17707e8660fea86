"""How commands reach a driver: by topic, action or service.

A topic takes every command. An action or a service takes one at a time and only a change: a new
one waits until the last was answered. A goal that the driver refuses because it still executes the
one before is sent again when that has been cancelled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from rclpy.action.client import ActionClient
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy

from lam_models.hands.driver import driver_units
from lam_models.hands.spec import HandSpec
from lam_retarget.adapters import Drive, find_adapter
from lam_retarget.messages import find_type
from lam_retarget.shaping import Joints

# Share of a channel's range below which an action or a service is not troubled.
DEADBAND = 0.002


class Outlet(Protocol):
    """Where the messages of one driver go."""

    def send(self, message: Any) -> None: ...

    def ready(self, values: np.ndarray) -> bool:
        """Whether a command with these values is to be sent now."""
        ...

    def close(self) -> None: ...


class TopicOutlet:
    """Publishes, while the node is active."""

    def __init__(self, node: LifecycleNode, kind: Any, name: str, reliable: bool) -> None:
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        qos = QoSProfile(depth=1, reliability=reliability)
        self._node, self._publisher = node, node.create_lifecycle_publisher(kind, name, qos)

    def ready(self, values: np.ndarray) -> bool:
        return True

    def send(self, message: Any) -> None:
        self._publisher.publish(message)

    def close(self) -> None:
        self._node.destroy_publisher(self._publisher)


class Turns:
    """One request at a time, and only one that differs from the last that was accepted."""

    def __init__(self, deadband: np.ndarray) -> None:
        self._deadband = deadband
        self._sent: np.ndarray | None = None
        self.waiting = False

    def take(self, values: np.ndarray) -> bool:
        """Whether to ask now; then it is taken to be asked."""
        same = self._sent is not None and bool(
            (np.abs(values - self._sent) <= self._deadband).all()
        )
        if self.waiting or same:
            return False
        self.waiting, self._sent = True, values
        return True

    def answered(self, accepted: bool) -> None:
        """What was refused may be asked again."""
        self.waiting = False
        if not accepted:
            self._sent = None


class ActionOutlet:
    """Sends goals; a running one is replaced, or cancelled where the driver does not replace it."""

    def __init__(self, node: LifecycleNode, kind: Any, name: str, deadband: np.ndarray) -> None:
        self._client = ActionClient(node, kind, name)
        self._turns, self._goal = Turns(deadband), None

    def ready(self, values: np.ndarray) -> bool:
        return self._client.server_is_ready() and self._turns.take(values)

    def send(self, message: Any) -> None:
        self._client.send_goal_async(message).add_done_callback(self._on_answer)

    def _on_answer(self, future: Any) -> None:
        goal = future.result()
        if goal is not None and goal.accepted:
            self._goal = goal
            self._turns.answered(True)
        elif self._goal is not None:
            running, self._goal = self._goal, None
            cancelled = running.cancel_goal_async()
            cancelled.add_done_callback(lambda _: self._turns.answered(False))
        else:
            self._turns.answered(False)

    def close(self) -> None:
        self._client.destroy()


class ServiceOutlet:
    """Calls a service."""

    def __init__(self, node: LifecycleNode, kind: Any, name: str, deadband: np.ndarray) -> None:
        self._node, self._client = node, node.create_client(kind, name)
        self._turns = Turns(deadband)

    def ready(self, values: np.ndarray) -> bool:
        return self._client.service_is_ready() and self._turns.take(values)

    def send(self, message: Any) -> None:
        future = self._client.call_async(message)
        future.add_done_callback(lambda done: self._turns.answered(done.result() is not None))

    def close(self) -> None:
        self._node.destroy_client(self._client)


class Driver:
    """The driver of a hand: positions of the actuated joints in, its own message out.

    UserError where no adapter knows its type or the type's package is not installed.
    """

    def __init__(
        self, node: LifecycleNode, spec: HandSpec, name: str = "", max_effort: float = 0.0
    ) -> None:
        command = spec.command
        self.name, self.type = name or command.name, command.type
        self._units, self._max_effort = driver_units(spec), max_effort
        self._period_s = 1.0 / command.rate_hz
        adapter, kind = find_adapter(command.type), find_type(command.type)
        parts = [find_type(part) for part in adapter.parts]
        messages = {"topic": "", "action": "Goal", "service": "Request"}[command.interface]
        message: Callable = getattr(kind, messages) if messages else kind
        self._build = lambda drive: adapter.build(drive, message, *parts)
        self._outlet = self._open(node, spec, kind)
        self.owed: Joints | None = None

    def _open(self, node: LifecycleNode, spec: HandSpec, kind: Any) -> Outlet:
        if spec.command.interface == "topic":
            reliable = spec.command.reliability == "reliable"
            return TopicOutlet(node, kind, self.name, reliable)
        stroke = self._units.values(spec.upper) - self._units.values(spec.lower)
        outlet = ActionOutlet if spec.command.interface == "action" else ServiceOutlet
        return outlet(node, kind, self.name, DEADBAND * np.abs(stroke))

    def send(self, q: Joints, stamp_ns: int) -> bool:
        """Send the actuated joints there; whether it was done, else they are owed."""
        values = self._units.values(q)
        self.owed = q
        if not self._outlet.ready(values):
            return False
        self.owed = None
        names, numbers = self._units.names, values.tolist()
        self._outlet.send(
            self._build(Drive(names, numbers, stamp_ns, self._period_s, self._max_effort))
        )
        return True

    def close(self) -> None:
        """Destroy the publisher or client."""
        self._outlet.close()
