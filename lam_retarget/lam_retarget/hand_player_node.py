"""hand_player_node: a drawn person's moving hand on the topic of a tracker, to try a chain with."""

from __future__ import annotations

from typing import Any

import rcl_interfaces.msg
from rclpy.node import Node
from std_msgs.msg import Header

from lam_models.construction import all_or_nothing
from lam_models.hands.keypoints import LAYOUTS
from lam_models.settings import declare
from lam_msgs.msg import HandKeypoints
from lam_retarget import messages
from lam_retarget.judging import NS_PER_S
from lam_retarget.keypoints_messages import hand_keypoints
from lam_retarget.keypoints_params import HandPlayerSettings
from lam_retarget.playing import Piece, Player
from lam_retarget.running_node import run

FRAME_ID = "hand_sensor"


@all_or_nothing
class HandPlayerNode(Node):
    """Publishes what a Player shows at the time."""

    def __init__(self, **options: Any) -> None:
        super().__init__("hand_player_node", **options)
        s = self.settings = declare(self, HandPlayerSettings, rcl_interfaces.msg)
        self._layout = LAYOUTS[s.layout]
        self._player = Player(
            Piece(self._layout, s.side, s.subject, s.poses, s.seconds_each, s.noise_m, s.seed)
        )
        self._began_ns: int | None = None
        self._frames = self.create_publisher(HandKeypoints, s.topic, 1)
        self.create_timer(1.0 / s.rate_hz, self._play)
        length_mm = 1000.0 * self._player.hand.length_m
        self.get_logger().info(f"{self._player.hand.name}, a {s.side} hand of {length_mm:.0f} mm")

    def _play(self) -> None:
        now_ns = self.get_clock().now().nanoseconds
        if self._began_ns is None:
            self._began_ns = now_ns
        joints = self._player.joints((now_ns - self._began_ns) / NS_PER_S)
        header = Header(stamp=messages.time_message(now_ns), frame_id=FRAME_ID)
        message = hand_keypoints(joints, self._layout, self.settings.side, header)
        self._frames.publish(message)


def main() -> None:
    """Run until interrupted."""
    run("hand_player_node", HandPlayerNode)
