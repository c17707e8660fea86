"""arbiter_node: the commands of several sources to one robot, a person's before every program's.

    /teleop/…, /expert/…, /policy/…: ee_delta, latent_action, hand_joints
        ─▶ Arbiter ─▶ /ee_delta, /latent_action, /hand/joint_commands
                  └─▶ /command_source (latched), /diagnostics

A command goes on in its own callback, as it came but for its sequence number, which counts what
goes out of this node for each source: the arbiter's own zero motions are among it.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import rcl_interfaces.msg
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from std_srvs.srv import SetBool

from lam_models.construction import all_or_nothing
from lam_models.settings import declare
from lam_msgs.msg import EndEffectorDelta, LatentAction
from lam_teleop import command_messages as messages
from lam_teleop.arbitration import SOURCES, Arbiter, Order, counts
from lam_teleop.inputs_params import ArbiterSettings
from lam_teleop.running_node import run

NOBODY = "none"
# Refusals that happen in every change of who commands are no news.
_EXPECTED = ("yields", "hand_over", "disabled")
_TICK_S = 0.02
_FAREWELL_S = 0.3


@all_or_nothing
class ArbiterNode(Node):
    """Translates between ROS and an Arbiter, and keeps time."""

    def __init__(self, **options: Any) -> None:
        super().__init__("arbiter_node", **options)
        s = self.settings = declare(self, ArbiterSettings, rcl_interfaces.msg)
        self._arbiter = Arbiter(s.rules(), enabled=s.enabled)
        self._sequences, self._told = Counter[str](), set[str]()
        self._said, self._fault = "", ""
        self._deltas = self.create_publisher(EndEffectorDelta, s.command_topic, 10)
        self._latents = self.create_publisher(LatentAction, s.latent_topic, 1)
        self._joints = self.create_publisher(JointState, s.hand_topic, 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._owner = self.create_publisher(String, "command_source", latched)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Best effort hears every publisher; one hand command replaces another.
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        for source in SOURCES:
            hear = partial(self._on_delta, source=source)
            self.create_subscription(EndEffectorDelta, f"{source}/ee_delta", hear, 10)
            hear = partial(self._on_latent, source=source)
            self.create_subscription(LatentAction, f"{source}/latent_action", hear, newest)
            hear = partial(self._on_joints, source=source)
            self.create_subscription(JointState, f"{source}/hand_joints", hear, newest)
        self.create_service(SetBool, "~/enable", self._on_enable)
        self.create_timer(_TICK_S, self._on_timer)
        self.create_timer(1.0, self._report)
        self._announce()

    def now_ns(self) -> int:
        """The robot's clock."""
        return self.get_clock().now().nanoseconds

    def _on_delta(self, message: EndEffectorDelta, source: str) -> None:
        if self._pass(messages.delta_order(message, source)):
            self._send(message, source)

    def _on_latent(self, message: LatentAction, source: str) -> None:
        if self._pass(messages.latent_order(message, source)):
            self._latents.publish(message)

    def _on_joints(self, message: JointState, source: str) -> None:
        if self._pass(messages.joints_order(message, source)):
            self._joints.publish(message)

    def _pass(self, order: Order) -> bool:
        """Whether a command goes on; the zero motion that is due before it goes out."""
        ruling = self._arbiter.hear(order, self.now_ns())
        self._stop(ruling.zero_by)
        self._announce()
        if not ruling.forward and ruling.kind not in _EXPECTED:
            self._fault = ruling.words
            if (news := f"{order.source} {ruling.kind}") not in self._told:
                self._told.add(news)
                self.get_logger().warning(f"refused: {ruling.words} (said once)")
        return ruling.forward

    def _send(self, message: EndEffectorDelta, source: str) -> None:
        self._sequences[source] += 1
        message.sequence = self._sequences[source]
        self._deltas.publish(message)

    def _stop(self, source: str) -> None:
        """Send a zero motion in a source's name, if there is one."""
        if source:
            s = self.settings
            zero = messages.delta_message(
                np.zeros(6), s.base_frame, self.now_ns(), s.period_ns, source
            )
            self._send(zero, source)

    def _announce(self) -> None:
        """Say who commands, where that has changed."""
        owner = self._arbiter.owner or NOBODY
        if owner != self._said:
            if self._said:
                self.get_logger().info(f"{owner} commands, after {self._said}")
            self._said = owner
            self._owner.publish(String(data=owner))
            self._report()

    def _on_timer(self) -> None:
        self._stop(self._arbiter.tick(self.now_ns()))
        self._announce()

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._stop(self._arbiter.enable(request.data))
        self._announce()
        response.success = True
        response.message = "sources may command" if request.data else "nobody may command"
        return response

    def _report(self) -> None:
        fault, self._fault = self._fault, ""
        text = f"refused: {fault}" if fault else f"commanding: {self._said}"
        if not self._arbiter.enabled:
            text = "disabled"
        values = {"owner": self._said, **counts(self._arbiter)}
        well = not fault and self._arbiter.enabled
        self._diagnostics.publish(
            messages.diagnostics(self.get_name(), text, well, values, self.now_ns())
        )

    def farewell(self) -> None:
        """Stop the arm if it moves, and wait until that has arrived, but not for ever."""
        self._stop(self._arbiter.enable(False))
        self._deltas.wait_for_all_acked(Duration(seconds=_FAREWELL_S))


def main() -> None:
    """Run until interrupted."""
    run("arbiter_node", ArbiterNode, ArbiterNode.farewell)
