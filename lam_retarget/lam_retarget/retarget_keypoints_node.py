"""retarget_keypoints_node: a tracked human hand to latent actions, for any hand that decodes them.

    /hand_keypoints ─▶ judge ─▶ palm frame, mean hand's size ─▶ encode ─▶ /latent_action
                                                    └──────────────────▶ /palm_pose, /diagnostics

A frame that is not believed publishes nothing: retarget_node then holds by silence.
"""

from __future__ import annotations

import time
from typing import Any

import rcl_interfaces.msg
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseArray, PoseStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from lam_models.construction import all_or_nothing
from lam_models.hands.space import HUMAN, human_vector, open_space
from lam_models.settings import declare
from lam_msgs.msg import HandKeypoints, LatentAction
from lam_retarget import keypoints_messages, messages
from lam_retarget.keypoints_params import KeypointsSettings
from lam_retarget.pacing import Durations
from lam_retarget.running_node import run
from lam_retarget.tracking import Person, Tally, Tracker

INPUTS = {"hand_keypoints": HandKeypoints, "pose_array": PoseArray}


@all_or_nothing
class RetargetKeypointsNode(Node):
    """Translates between ROS and a Tracker."""

    def __init__(self, **options: Any) -> None:
        super().__init__("retarget_keypoints_node", **options)
        s = self.settings = declare(self, KeypointsSettings, rcl_interfaces.msg)
        frames = s.calibrate_frames if s.calibrate else 0
        self._tracker = Tracker(Person(s.side, s.scale, frames), s.max_frame_age_s)
        self._tally, self._answers = Tally(), Durations()
        space = open_space(s.space)
        self._space, self._human = space.latent, space.coder(HUMAN)
        self._latents = self.create_publisher(LatentAction, s.latent_topic, 1)
        self._palms = self.create_publisher(PoseStamped, s.palm_topic, 1)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # Best effort hears every tracker; one frame replaces another.
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(INPUTS[s.input], s.input_topic, self._on_frame, newest)
        self.create_timer(1.0, self._report)
        self.get_logger().info(
            f"the {s.side} hand of {s.input_topic} to {s.latent_topic} in the space "
            f"'{self._space.name}' ({self._space.space_hash})"
        )

    def now_ns(self) -> int:
        """The robot's clock."""
        return self.get_clock().now().nanoseconds

    def _on_frame(self, message: HandKeypoints | PoseArray) -> None:
        began_ns = time.perf_counter_ns()
        frame = keypoints_messages.frame_of(message, self.settings.layout)
        seen = self._tracker.look(frame, self.now_ns())
        if self._tally.note(seen):
            self.get_logger().warning(f"refused: {seen.words} (said once)")
        if seen.kind == "measuring" and self._tracker.measured:
            scale = self._tracker.scale
            self.get_logger().info(f"{seen.words}; with scale:={scale:.3f} it is known next time")
        if seen.reading is None:
            return
        assert seen.reading.points is not None and seen.reading.T_sensor_palm is not None
        latent = self._human.encode(human_vector(seen.reading.points))
        age_ns = max(0, self.now_ns() - frame.stamp_ns)
        self._latents.publish(
            keypoints_messages.latent_action(self._space, latent, frame.stamp_ns, age_ns)
        )
        self._answers.add(time.perf_counter_ns() - began_ns)
        self._palms.publish(
            keypoints_messages.palm_pose(seen.reading.T_sensor_palm, message.header)
        )

    def _report(self) -> None:
        text, well = self._tally.report()
        values = {
            "space": self._space.name,
            "space_hash": self._space.space_hash,
            "scale": f"{self._tracker.scale:.3f}" if self._tracker.measured else "unknown",
            "followed": str(self._tally.followed),
            **{f"refused_{kind}": str(count) for kind, count in self._tally.refused.items()},
            "answer_p50_us": f"{self._answers.percentile_us(50):.1f}",
            "answer_p95_us": f"{self._answers.percentile_us(95):.1f}",
        }
        self._diagnostics.publish(
            messages.diagnostics(self.get_name(), text, well, values, self.now_ns())
        )


def main() -> None:
    """Run until interrupted."""
    run("retarget_keypoints_node", RetargetKeypointsNode)
