"""expert_node: a scripted demonstrator on the robot's topics, as a teleoperator would be.

    /truth, /episode ─▶ expert of the task ─▶ /ee_delta, /hand/joint_commands

It acts on each truth, so it is silent as soon as the simulator is; also before an episode and once
one has ended.
"""

from __future__ import annotations

import sys

import numpy as np
import rcl_interfaces.msg
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import JointState

from lam_models.command import UserError
from lam_models.settings import declare
from lam_models.stopping import StopRequest
from lam_msgs.msg import EndEffectorDelta, EpisodeInfo, WorldTruth
from lam_sim import messages
from lam_sim.commands import BASE_FRAME, DeltaCommand
from lam_sim.interface import Expert, Truth
from lam_sim.pacing import NS_PER_S, Stream
from lam_sim.params import ExpertSettings
from lam_sim.table.effectors import find_effector
from lam_sim.tasks import task_class
from lam_sim.tasks.noise import ActionNoise

# The motion that an expert's action stands for: one period of its 20 Hz.
ACTION_S = 0.05


class ExpertNode(Node):
    """Follows one episode at a time."""

    def __init__(self) -> None:
        super().__init__("expert_node")
        self._settings = declare(self, ExpertSettings, rcl_interfaces.msg)
        self._episode_id = ""
        self._ended_id = ""
        self._expert: Expert | None = None
        self._stream = Stream(self._settings.rate_hz)
        self._sequence = 0
        self._deltas = self.create_publisher(EndEffectorDelta, "ee_delta", 10)
        self._hand = self.create_publisher(JointState, "hand/joint_commands", 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.create_subscription(EpisodeInfo, "episode", self._on_episode, latched)
        self.create_subscription(WorldTruth, "truth", self._on_truth, 10)

    def _on_episode(self, message: EpisodeInfo) -> None:
        if message.state != EpisodeInfo.STATE_RUNNING:
            self._ended_id = message.episode_id

    def _on_truth(self, message: WorldTruth) -> None:
        if message.success or message.episode_id in ("", self._ended_id):
            return
        now_ns = self.get_clock().now().nanoseconds
        age_s = (now_ns - messages.time_ns(message.header.stamp)) / NS_PER_S
        if age_s > self._settings.max_truth_age_s:
            return
        if message.episode_id != self._episode_id:
            self._begin(message)
        truth = messages.truth_from(message)
        if truth.time_s < self._settings.reaction_s:
            return
        if self._expert and self._stream.due(round(truth.time_s * NS_PER_S)):
            self._command(self._expert, truth)

    def _begin(self, message: WorldTruth) -> None:
        """Make the expert of a new episode. It sees only truth, so any draw of the task will do."""
        self._episode_id, self._expert = message.episode_id, None
        self._stream = Stream(self._settings.rate_hz)
        rng = np.random.default_rng(self._settings.seed)
        try:
            effector = find_effector(message.end_effector)()
            task = task_class(message.task).sample(rng, 0.0)
        except UserError as error:
            self.get_logger().error(f"no expert for episode {message.episode_id}: {error}")
            return
        self._expert = task.expert(effector, rng)
        self._noise = ActionNoise(rng, self._settings.noise, turn_rad=0.0)
        self.get_logger().info(f"{message.task} with {message.end_effector}: {message.instruction}")

    def _command(self, expert: Expert, truth: Truth) -> None:
        action = self._noise(expert.act(truth))
        stamp_ns = self.get_clock().now().nanoseconds
        self._sequence += 1
        command = DeltaCommand(
            delta_ee=action.delta_ee,
            frame=BASE_FRAME,
            duration_s=ACTION_S,
            stamp_ns=stamp_ns,
            sequence=self._sequence,
            source=self._settings.source,
        )
        self._deltas.publish(messages.delta_message(command))
        self._hand.publish(messages.joint_state(truth.joint_names, action.hand, stamp_ns))


def main() -> None:
    """Run until interrupted."""
    stop = StopRequest()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        executor = SingleThreadedExecutor()
        executor.add_node(ExpertNode())
        while not stop:
            executor.spin_once(timeout_sec=0.1)
    except UserError as error:
        sys.exit(f"expert_node: {error}")
    finally:
        rclpy.shutdown()
