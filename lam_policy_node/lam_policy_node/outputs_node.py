"""What an active node sends: commands, and what the safety and the policy said of them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode

from lam_models.checkpoint import Spec
from lam_models.policy.opening import hand_space
from lam_msgs.msg import ActionChunk, EndEffectorDelta, LatentAction, SafetyVerdict
from lam_policy_node import messages
from lam_policy_node.drive import Beat
from lam_policy_node.messages import Told
from lam_policy_node.params import PolicySettings
from lam_policy_node.run import Planned
from lam_policy_node.twist import Velocities

# How long the last zero may take to reach everybody before the process ends.
_FAREWELL_S = 0.3


class Outputs:
    """Publishers that are mute unless the node is active. commands: how many deltas went out."""

    def __init__(self, node: LifecycleNode, settings: PolicySettings) -> None:
        self._settings = settings
        self._delta = node.create_lifecycle_publisher(EndEffectorDelta, settings.command_topic, 10)
        self._latent = node.create_lifecycle_publisher(LatentAction, settings.latent_topic, 10)
        self._chunk = node.create_lifecycle_publisher(ActionChunk, settings.chunk_topic, 10)
        self._verdict = node.create_lifecycle_publisher(SafetyVerdict, "safety_verdict", 10)
        self._twist: Any = None
        if settings.twist_topic:
            self._twist = node.create_lifecycle_publisher(TwistStamped, settings.twist_topic, 10)
        self._velocities = Velocities()
        self.commands = 0

    def command(self, beat: Beat, spec: Spec, told: Told, now_ns: int) -> float:
        """Send what a beat asks for; how long that took [s]."""
        started, s = time.monotonic(), self._settings
        if beat.motion is None or s.dry_run:
            return 0.0
        self.commands += 1
        self._delta.publish(
            messages.delta_message(beat.motion, s.base_frame, now_ns, s.period_ns, self.commands)
        )
        if beat.hand is not None:
            self._latent.publish(messages.latent_message(beat, hand_space(spec), told, now_ns))
            self._velocities.command(beat.motion, s.period_ns / 1e9, now_ns)
        else:
            self._velocities.stop()
            self.twist(now_ns)
        return time.monotonic() - started

    def verdict(self, beat: Beat, now_ns: int) -> None:
        """Show what the safety said to whoever looks on."""
        if beat.verdict is not None and self._verdict.get_subscription_count():
            frame = self._settings.base_frame
            message = messages.verdict_message(beat.verdict, frame, now_ns, self.commands)
            self._verdict.publish(message)

    def twist(self, now_ns: int) -> None:
        """Send the velocity of the present moment, if any."""
        if self._twist is None or self._settings.dry_run:
            return
        if (velocity := self._velocities.now(now_ns)) is not None:
            frame = self._settings.base_frame
            self._twist.publish(messages.twist_message(np.array(velocity), frame, now_ns))

    def chunk(self, planned: Planned, spec: Spec, told: Told, now_ns: int) -> None:
        """Show a whole answer of the policy to whoever looks on."""
        if not self._chunk.get_subscription_count():
            return
        s = self._settings
        frame = s.ee_frame if planned.chunk.frame == "ee" else s.base_frame
        motion = next((space for space in spec.emits if space.kind == "motion"), None)
        self._chunk.publish(messages.chunk_message(planned, frame, motion, told, now_ns))

    def flush(self) -> None:
        """Wait until the last command has arrived, but not for ever."""
        self._delta.wait_for_all_acked(Duration(seconds=_FAREWELL_S))
