"""MoveIt Servo takes twists only after it was told so."""

from __future__ import annotations

from typing import Any

from rclpy.node import Node

TWIST = 1


def command_twists(node: Node, service: str) -> None:
    """Ask Servo for its twist mode, without waiting; says so where that cannot be."""
    say = node.get_logger()
    try:
        from moveit_msgs.srv import ServoCommandType
    except ImportError:
        say.warning(f"moveit_msgs is not installed: {service} cannot be called")
        return
    client = node.create_client(ServoCommandType, service)
    if not client.service_is_ready():
        say.warning(f"{service} is not there: is Servo running?")
        node.destroy_client(client)
        return

    def told(future: Any) -> None:
        if not future.result().success:
            say.error(f"{service} refused the twist mode")
        node.destroy_client(client)

    client.call_async(ServoCommandType.Request(command_type=TWIST)).add_done_callback(told)
