"""Brings managed nodes up in the given order: configure, then activate, one node after the other.

Launch files in XML cannot ask for lifecycle transitions, so this small node does. It ends with 0
when all are active, and with 1 and one line when one is not within `timeout_s`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import rcl_interfaces.msg
import rclpy
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.utilities import try_shutdown

from lam_models.command import UserError
from lam_models.settings import declare, setting

# From each primary state the transition that leads towards "active".
TOWARDS_ACTIVE = {
    State.PRIMARY_STATE_UNCONFIGURED: Transition.TRANSITION_CONFIGURE,
    State.PRIMARY_STATE_INACTIVE: Transition.TRANSITION_ACTIVATE,
}
_TRANSITION_NAMES = {
    Transition.TRANSITION_CONFIGURE: "configure",
    Transition.TRANSITION_ACTIVATE: "activate",
}
_POLL_S = 0.1
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class ActivateSettings:
    """Parameters of activate."""

    nodes: tuple[str, ...] = setting((), "names of the managed nodes, in order")
    timeout_s: float = setting(
        30.0, "each node must be active after this time", low=0.1, high=3600.0, unit="s"
    )


class ActivateNode(Node):
    """Asks managed nodes for their state and for transitions."""

    def __init__(self) -> None:
        super().__init__("activate")
        self.settings = declare(self, ActivateSettings, rcl_interfaces.msg)
        if not self.settings.nodes:
            raise UserError("the parameter 'nodes' names no node to activate")

    def activate(self, name: str) -> None:
        """Bring one node to active. UserError where that fails."""
        end_s = time.monotonic() + self.settings.timeout_s
        while (state := self._state(name, end_s)).id != State.PRIMARY_STATE_ACTIVE:
            if state.id == State.PRIMARY_STATE_FINALIZED:
                raise UserError(f"'{name}' is finalized and cannot be activated")
            if state.id in TOWARDS_ACTIVE:
                self._lead_on(name, state, end_s)
            else:
                self._sleep(end_s, f"'{name}' is still '{state.label}'")
        self.get_logger().info(f"{name} is active")

    def _state(self, name: str, end_s: float) -> State:
        with self._client(GetState, name, "get_state", end_s) as client:
            while True:
                answer = self._answer(client.call_async(GetState.Request()), end_s)
                if answer is not None:
                    return answer.current_state
                self._sleep(end_s, f"'{name}' does not answer get_state")

    def _lead_on(self, name: str, state: State, end_s: float) -> None:
        """Ask for one transition. An answer can be lost: the node's state says what happened."""
        transition = TOWARDS_ACTIVE[state.id]
        request = ChangeState.Request(transition=Transition(id=transition))
        with self._client(ChangeState, name, "change_state", end_s) as client:
            answer = self._answer(client.call_async(request), end_s)
            now = self._state(name, end_s)
        if answer is not None and not answer.success and now.id == state.id:
            wanted = _TRANSITION_NAMES[transition]
            raise UserError(f"'{name}' did not {wanted}: it is '{now.label}', see its log")

    @contextmanager
    def _client(self, kind: Any, name: str, service: str, end_s: float) -> Iterator[Any]:
        client = self.create_client(kind, f"{name}/{service}")
        try:
            while not client.service_is_ready():
                self._sleep(
                    end_s, f"'{name}' offers no {service}: it is not a managed node or not up"
                )
            yield client
        finally:
            self.destroy_client(client)

    def _answer(self, future: Any, end_s: float) -> Any:
        """None where none came for a while."""
        left_s = max(0.0, end_s - time.monotonic())
        rclpy.spin_until_future_complete(self, future, timeout_sec=min(_PATIENCE_S, left_s))
        return future.result() if future.done() else None

    def _sleep(self, end_s: float, problem: str) -> None:
        if time.monotonic() > end_s:
            raise UserError(self._late(problem))
        rclpy.spin_once(self, timeout_sec=_POLL_S)

    def _late(self, problem: str) -> str:
        return f"{problem} (after {self.settings.timeout_s:g} s)"


def main(argv: Sequence[str] | None = None) -> int:
    rclpy.init(args=None if argv is None else list(argv))
    try:
        node = ActivateNode()
        for name in node.settings.nodes:
            node.activate(name)
    except UserError as error:
        print(f"activate: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        return 130
    finally:
        try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
