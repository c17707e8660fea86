"""What the nodes of a person's inputs share: their publishers, and the hand's grip."""

from __future__ import annotations

from collections import deque

import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from lam_models.hands.space import open_space
from lam_msgs.msg import EndEffectorDelta, LatentAction
from lam_teleop import command_messages as messages
from lam_teleop.arbitration import NS_PER_S, PERSON
from lam_teleop.grip import Grip, closing_path
from lam_teleop.inputs_params import JoySettings, KeyboardSettings
from lam_teleop.pulse import IDLE, Pulse, Wish

# How long the last zero may take to reach everybody before the process ends.
_FAREWELL_S = 0.3
_ECHOES = 64


class Person:
    """Commands of a person: a motion a beat while they command, one zero after, then silence."""

    def __init__(self, node: Node, settings: KeyboardSettings | JoySettings) -> None:
        s = self._settings = settings
        self._clock = node.get_clock()
        self._period_ns = round(NS_PER_S / s.rate_hz)
        self._pulse, self._sequence = Pulse(self._period_ns / NS_PER_S), 0
        space = open_space(s.space)
        self._space, self._hash = space.latent, space.latent.space_hash
        path = closing_path(space, s.open_posture, s.closed_posture, s.closed_at)
        self.grip = Grip(path)
        # A command comes back when later ones are out already.
        self._said: deque[bytes] = deque(maxlen=_ECHOES)
        self._deltas = node.create_publisher(EndEffectorDelta, s.command_topic, 10)
        self._latents = node.create_publisher(LatentAction, s.latent_topic, 1)
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        node.create_subscription(LatentAction, s.obeyed_topic, self._on_obeyed, newest)

    def beat(self, wish: Wish, close_by: float = 0.0) -> None:
        """Command what is wished for one period. close_by: share to close the hand by, at once."""
        if wish.live and (step := close_by + wish.closing * self._period_ns / NS_PER_S):
            self.grip.move(step)
        motion, now_ns = self._pulse.beat(wish), self._clock.now().nanoseconds
        if motion is None:
            return
        message = messages.delta_message(
            motion, self._settings.frame, now_ns, self._period_ns, PERSON
        )
        self._sequence += 1
        message.sequence = self._sequence
        self._deltas.publish(message)
        latent = self.grip.latent()
        if wish.live and latent is not None:
            command = messages.latent_message(latent, self._space, self._hash, now_ns)
            self._said.append(bytes(command.values))
            self._latents.publish(command)

    def _on_obeyed(self, message: LatentAction) -> None:
        """What others command, and what comes back of our own."""
        known = message.space_hash == self._hash and len(message.values) == self._space.shape[1]
        if known and bytes(message.values) not in self._said:
            self.grip.obeyed(np.asarray(message.values, np.float64))

    def farewell(self) -> None:
        """Stop the arm if it moves, and wait until that has arrived, but not for ever."""
        self.beat(IDLE)
        self._deltas.wait_for_all_acked(Duration(seconds=_FAREWELL_S))
