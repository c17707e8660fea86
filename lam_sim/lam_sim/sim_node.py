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
from collections.abc import Mapping, Sequence
from functools import partial

import rcl_interfaces.msg
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from lam_msgs.msg import EndEffectorDelta, EpisodeInfo, WorldTruth
from lam_msgs.srv import ResetWorld
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, Image, JointState

from lam_models.command import UserError, unknown
from lam_models.settings import declare
from lam_sim import messages
from lam_sim.cameras import Cameras, Outlet
from lam_sim.commands import CommandLimits, Refusals
from lam_sim.control import TICK_S
from lam_sim.pacing import NS_PER_S, Pacer, SpeedMeter, Stream
from lam_sim.params import SimSettings
from lam_sim.session import EpisodeRequest, Session, State
from lam_sim.stopping import StopRequest

TICK_NS = round(TICK_S * NS_PER_S)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
STATES: Mapping[State, int] = {
    "running": EpisodeInfo.STATE_RUNNING,
    "succeeded": EpisodeInfo.STATE_SUCCEEDED,
    "failed": EpisodeInfo.STATE_FAILED,
}


class SimNode(Node):
    """Translates between ROS and a Session, and keeps time."""

    def __init__(self) -> None:
        super().__init__("sim_node")
        s = self._settings = declare(self, SimSettings, rcl_interfaces.msg)
        first = EpisodeRequest(s.task, s.end_effector, s.seed, s.difficulty, s.distractors)
        limits = CommandLimits(max_age_s=s.max_command_age_s)
        self._session = Session(first, limits, s.action_latency_s)
        self.pacer = Pacer(TICK_NS, s.real_time_factor)
        self._speed, self._refusals = SpeedMeter(), Refusals()
        self._reported = (0, 0)
        self._sim_ns = 0
        self._episodes = 0
        self._states, self._truths = Stream(s.state_rate_hz), Stream(s.truth_rate_hz)
        self._diagnostics = Stream(1.0)
        self._offer()
        outlets = self._camera_outlets(self._session.world.cameras)
        latency_ns = round(s.camera_latency_s * NS_PER_S)
        self._cameras = Cameras(outlets, (s.height, s.width), s.camera_rate_hz, latency_ns)
        self._announce_new()

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
        outlets: dict[str, list[Outlet]] = {name: [] for name in known}
        for name in s.raw_cameras:
            topic = self.create_publisher(Image, f"{name}/image_raw", qos_profile_sensor_data)
            encode = partial(messages.raw_image, frame_id=f"{name}_optical")
            outlets[name].append(Outlet(topic, encode))
        for name in s.jpeg_cameras:
            topic_name = f"{name}/image_raw/compressed"
            topic = self.create_publisher(CompressedImage, topic_name, qos_profile_sensor_data)
            frame_id, quality = f"{name}_optical", s.jpeg_quality
            encode = partial(messages.jpeg_image, frame_id=frame_id, quality=quality)
            outlets[name].append(Outlet(topic, encode))
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
            self._publish_episode(stamp_ns)
        if self._truths.due(self._sim_ns):
            self._truth_topic.publish(self._truth_message(stamp_ns))
        self._cameras.tick(self._session.world, self._sim_ns, stamp_ns)
        if self._diagnostics.due(self._sim_ns):
            self._publish_diagnostics(stamp_ns)

    def _truth_message(self, stamp_ns: int) -> WorldTruth:
        message = messages.truth_message(self._session.truth, stamp_ns)
        message.episode_id = self._episode_id
        message.task = self._session.request.task
        message.end_effector = self._session.request.end_effector
        message.instruction = self._session.world.instruction
        message.success = self._session.state == "succeeded"
        return message

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
        current = self._session.request
        wanted = EpisodeRequest(
            task=request.task or current.task,
            end_effector=request.end_effector or current.end_effector,
            seed=request.seed,
            difficulty=request.difficulty,
            distractors=tuple(request.distractors),
        )
        try:
            self._session.begin(wanted)
        except UserError as error:
            response.message = str(error)
            return response
        self._announce_new()
        response.success = True
        response.episode_id = self._episode_id
        response.instruction = self._session.world.instruction
        return response

    def _announce_new(self) -> None:
        self._episodes += 1
        self._started_ns = self.now_ns()
        day = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime())
        self._episode_id = f"{day}_{self._episodes:04d}"
        self._refusals.forget()
        self._cameras.forget()
        self._publish_episode(self._started_ns)
        request = self._session.request
        self.get_logger().info(
            f"episode {self._episode_id}: {request.task} with {request.end_effector}, "
            f"seed {request.seed}: {self._session.world.instruction}"
        )

    def _publish_episode(self, stamp_ns: int) -> None:
        session, request = self._session, self._session.request
        self._episode_topic.publish(
            EpisodeInfo(
                header=messages.header(stamp_ns),
                episode_id=self._episode_id,
                state=STATES[session.state],
                task=request.task,
                instruction=session.world.instruction,
                end_effector=request.end_effector,
                seed=request.seed,
                started=messages.time_message(self._started_ns),
                elapsed=messages.duration_message(session.elapsed_s),
            )
        )

    def _publish_diagnostics(self, stamp_ns: int) -> None:
        counts = (self.pacer.overruns, self._refusals.total)
        news = tuple(now - before for now, before in zip(counts, self._reported, strict=True))
        self._reported = counts
        health = messages.SimHealth(self._speed.factor, *counts, *news, self._refusals.last)
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
        rclpy.try_shutdown()
