"""sim_node: the simulated arm on the topics of a real one.

    /ee_delta, /hand/joint_commands, /reset_world ─▶ Session ─▶ /joint_states, /ee_pose, cameras,
                                                                /episode, /truth, /diagnostics

One thread does everything, in ticks of 10 ms: callbacks while waiting, then physics, states and
pictures. Drawing in a thread of its own was slower: MuJoCo gives up the GIL in each of its calls,
and beside busy Python a VGA picture then takes 27 ms in place of 6.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from functools import partial

import rcl_interfaces.msg
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, JointState

from lam_models.command import UserError, unknown
from lam_models.settings import declare
from lam_models.stopping import StopRequest
from lam_msgs.msg import EndEffectorDelta, EpisodeInfo, WorldTruth
from lam_msgs.srv import ResetWorld
from lam_sim import messages
from lam_sim.cameras import Cameras, Outlet
from lam_sim.commands import CommandLimits, Refusals
from lam_sim.pacing import NS_PER_S, Pacer, SpeedMeter, Stream
from lam_sim.params import SimSettings
from lam_sim.session import EpisodeRequest, Session
from lam_sim.table.control import TICK_S
from lam_sim.yielding import yield_cores

TICK_NS = round(TICK_S * NS_PER_S)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class SimNode(Node):
    """Translates between ROS and a Session, and keeps time."""

    def __init__(self) -> None:
        super().__init__("sim_node")
        s = self._settings = declare(self, SimSettings, rcl_interfaces.msg)
        yield_cores(s.niceness)
        first = EpisodeRequest(s.task, s.end_effector, s.seed, s.difficulty, s.distractors)
        limits = CommandLimits(max_age_s=s.max_command_age_s)
        self._sim_ns = 0
        self._session = Session(first, self.now_ns(), limits, s.action_latency_s, s.motion_noise_m)
        self.pacer = Pacer(TICK_NS, s.real_time_factor)
        self._speed, self._refusals = SpeedMeter(), Refusals()
        self._reported = (0, 0)
        self._states, self._truths = Stream(s.state_rate_hz), Stream(s.truth_rate_hz)
        self._diagnostics = Stream(1.0)
        self._offer()
        outlets = self._camera_outlets(self._session.world.cameras)
        latency_ns = round(s.camera_latency_s * NS_PER_S)
        self._cameras = Cameras(outlets, (s.height, s.width), s.camera_rate_hz, latency_ns)
        self._cameras.warm_up(self._session.world)
        self._announce(self._session.started_ns)

    def _offer(self) -> None:
        self._clock_topic = self.create_publisher(Clock, "/clock", 10)
        self._joints_topic = self.create_publisher(JointState, "joint_states", 10)
        self._pose_topic = self.create_publisher(PoseStamped, "ee_pose", 10)
        self._truth_topic = self.create_publisher(WorldTruth, "truth", 10)
        self._episode_topic = self.create_publisher(EpisodeInfo, "episode", LATCHED)
        self._diagnostics_topic = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_subscription(EndEffectorDelta, "ee_delta", self._on_delta, 10)
        self.create_subscription(JointState, "hand/joint_commands", self._on_hand, 10)
        self.create_service(ResetWorld, "reset_world", self._on_reset)

    def _camera_outlets(self, known: Sequence[str]) -> dict[str, list[Outlet]]:
        """Topics named as image_transport names them."""
        s = self._settings
        for name in (*s.raw_cameras, *s.jpeg_cameras):
            if name not in known:
                raise unknown("camera", name, known)
        reliable = s.camera_reliability == "reliable"
        qos = QoSProfile(depth=5) if reliable else qos_profile_sensor_data
        outlets = {}
        for name in known:
            outlets[name] = []
            topic, frame_id = f"{name}/image_raw", f"{name}_optical"
            if name in s.raw_cameras:
                publisher = self.create_publisher(Image, topic, qos)
                encode = partial(messages.raw_image, frame_id=frame_id)
                outlets[name].append(Outlet(publisher, encode))
            if name in s.jpeg_cameras:
                topic += "/compressed"
                publisher = self.create_publisher(CompressedImage, topic, qos)
                encode = partial(messages.jpeg_image, frame_id=frame_id, quality=s.jpeg_quality)
                outlets[name].append(Outlet(publisher, encode))
        return outlets

    def now_ns(self) -> int:
        """The robot's clock: simulated time where that is published, else wall time."""
        return self._sim_ns if self._settings.publish_clock else time.time_ns()

    def tick(self) -> None:
        """Advance by TICK_S and publish what is due."""
        self.pacer.start_tick(time.monotonic_ns())
        ended = self._session.tick()
        self._sim_ns += TICK_NS
        self._speed.mark(time.monotonic_ns(), self._sim_ns)
        stamp_ns = self.now_ns()
        if self._settings.publish_clock:
            self._clock_topic.publish(Clock(clock=messages.time_message(stamp_ns)))
        if self._states.due(self._sim_ns):
            names, positions = self._session.joints()
            self._joints_topic.publish(messages.joint_state(names, positions, stamp_ns))
            T_base_ee = self._session.truth.T_base_ee
            self._pose_topic.publish(messages.pose_stamped(T_base_ee, stamp_ns))
        if ended:
            self._announce(stamp_ns)
        if self._truths.due(self._sim_ns):
            self._truth_topic.publish(messages.truth_message(self._session, stamp_ns))
        self._cameras.tick(self._session.world, self._sim_ns, stamp_ns)
        if self._diagnostics.due(self._sim_ns):
            self._publish_diagnostics(stamp_ns)

    def _on_delta(self, message: EndEffectorDelta) -> None:
        command = messages.delta_command(message)
        self._note("ee_delta", self._session.obey_delta(command, self.now_ns()))

    def _on_hand(self, message: JointState) -> None:
        names, positions = messages.hand_command(message)
        self._note("hand/joint_commands", self._session.obey_hand(names, positions))

    def _note(self, topic: str, fault: str) -> None:
        if fault and self._refusals.count(topic, fault):
            self.get_logger().warning(f"refused {topic}: {fault} (said once an episode)")

    def _on_reset(
        self, request: ResetWorld.Request, response: ResetWorld.Response
    ) -> ResetWorld.Response:
        try:
            wanted = messages.requested(request, self._session.request)
            self._session.begin(wanted, self.now_ns())
        except UserError as error:
            response.message = str(error)
            return response
        self._refusals.forget()
        self._cameras.forget()
        self._announce(self._session.started_ns)
        response.success = True
        response.episode_id = self._session.episode_id
        response.instruction = self._session.world.instruction
        return response

    def _announce(self, stamp_ns: int) -> None:
        session, request = self._session, self._session.request
        self._episode_topic.publish(messages.episode_info(session, stamp_ns))
        self.get_logger().info(
            f"episode {session.episode_id} {session.state} after {session.elapsed_s:.1f} s: "
            f"{request.task} with {request.end_effector}, seed {request.seed}: "
            f"{session.world.instruction}"
        )

    def _publish_diagnostics(self, stamp_ns: int) -> None:
        counts = (self.pacer.overruns, self._refusals.total)
        news = (counts[0] - self._reported[0], counts[1] - self._reported[1])
        self._reported = counts
        health = messages.SimHealth(self._speed.factor, counts, news, self._refusals.last)
        self._diagnostics_topic.publish(messages.diagnostics(health, stamp_ns))


def main() -> None:
    """Run until interrupted."""
    stop = StopRequest()
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        node, executor = SimNode(), SingleThreadedExecutor()
        executor.add_node(node)
        while not stop:
            executor.spin_once(timeout_sec=node.pacer.wait_s(time.monotonic_ns()))
            if node.pacer.wait_s(time.monotonic_ns()) == 0.0:
                node.tick()
    except UserError as error:
        sys.exit(f"sim_node: {error}")
    finally:
        rclpy.shutdown()
