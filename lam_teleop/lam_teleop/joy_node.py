"""joy_node: a gamepad's state to motions of the end effector and a grip of the hand.

    /joy ─▶ Joystick: deadman held, fresh? ─▶ /teleop/ee_delta, /teleop/latent_action

Button released or gamepad gone: one zero motion, then silence.
"""

from __future__ import annotations

import time
from typing import Any

import rcl_interfaces.msg
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Joy

from lam_models.construction import all_or_nothing
from lam_models.settings import declare
from lam_teleop import command_messages as messages
from lam_teleop.inputs_params import JoySettings
from lam_teleop.joystick import Joystick
from lam_teleop.person_node import Person
from lam_teleop.running_node import run


@all_or_nothing
class JoyNode(Node):
    """Translates between a gamepad and a Joystick, and keeps time."""

    def __init__(self, **options: Any) -> None:
        super().__init__("joy_node", **options)
        s = self.settings = declare(self, JoySettings, rcl_interfaces.msg)
        self._joystick, self._told = Joystick(s.layout()), ""
        self.person = Person(self, s)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_subscription(Joy, s.joy_topic, self._on_joy, qos_profile_sensor_data)
        self.create_timer(1.0 / s.rate_hz, self._on_timer)
        self.create_timer(1.0, self._report)

    def _on_joy(self, message: Joy) -> None:
        self._joystick.hear(message.axes, message.buttons, time.monotonic_ns())
        if (fault := self._joystick.fault) and fault != self._told:
            self.get_logger().warning(f"the gamepad commands nothing: {fault}")
        self._told = self._joystick.fault

    def _on_timer(self) -> None:
        self.person.beat(self._joystick.wish(time.monotonic_ns()))

    def _report(self) -> None:
        text, well = self._joystick.state(time.monotonic_ns())
        now_ns = self.get_clock().now().nanoseconds
        self._diagnostics.publish(messages.diagnostics(self.get_name(), text, well, {}, now_ns))


def main() -> None:
    """Run until interrupted."""
    run("joy_node", JoyNode, lambda node: node.person.farewell())
