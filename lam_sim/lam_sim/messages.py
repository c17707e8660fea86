"""The one place that translates between ROS messages and the simulator's plain values.

Pure functions, no node, no clock. Quaternions (x, y, z, w) and split seconds exist only here.
"""

from __future__ import annotations

import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Pose as PoseMessage
from geometry_msgs.msg import PoseStamped, Vector3
from jaxtyping import Float64, UInt8
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header

from lam_models.geometry import Pose, matrix_from_quat, pose, quat_from_matrix
from lam_models.sense.pixels import decode_compressed, decode_raw
from lam_msgs.msg import EndEffectorDelta, EpisodeInfo, WorldTruth
from lam_msgs.srv import ResetWorld
from lam_sim.commands import BASE_FRAME, DeltaCommand
from lam_sim.interface import Truth
from lam_sim.session import EpisodeRequest, Session, State

NS_PER_S = 1_000_000_000
SOURCES: Mapping[str, int] = {
    "unknown": EndEffectorDelta.SOURCE_UNKNOWN,
    "teleop": EndEffectorDelta.SOURCE_TELEOP,
    "policy": EndEffectorDelta.SOURCE_POLICY,
    "expert": EndEffectorDelta.SOURCE_EXPERT,
}
_SOURCE_NAMES = {number: name for name, number in SOURCES.items()}
_STATES: Mapping[State, int] = {
    "running": EpisodeInfo.STATE_RUNNING,
    "succeeded": EpisodeInfo.STATE_SUCCEEDED,
    "failed": EpisodeInfo.STATE_FAILED,
}
# Truth's time since reset [s] travels among the scalars: the header's stamp is on the robot's
# clock, like that of every other stream.
_TIME_SCALAR = "time_s"

Pixels = UInt8[np.ndarray, "height width 3"]


def time_message(stamp_ns: int) -> Time:
    """A ROS time."""
    return Time(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)


def time_ns(message: Time | Duration) -> int:
    """Nanoseconds of a ROS time or duration."""
    return message.sec * NS_PER_S + message.nanosec


def duration_message(duration_s: float) -> Duration:
    """A ROS duration."""
    sec, nanosec = divmod(round(duration_s * NS_PER_S), NS_PER_S)
    return Duration(sec=sec, nanosec=nanosec)


def header(stamp_ns: int, frame_id: str = "") -> Header:
    """A ROS header."""
    return Header(stamp=time_message(stamp_ns), frame_id=frame_id)


def raw_image(pixels: Pixels, stamp_ns: int, frame_id: str) -> Image:
    """An rgb8 image. Through array.array: an ndarray would be checked number by number (89 ms)."""
    height, width = pixels.shape[:2]
    return Image(
        header=header(stamp_ns, frame_id),
        height=height,
        width=width,
        encoding="rgb8",
        step=3 * width,
        data=array.array("B", pixels.tobytes()),
    )


def jpeg_image(pixels: Pixels, stamp_ns: int, frame_id: str, quality: int) -> CompressedImage:
    """A JPEG image, quality 1 to 100, named as image_transport's compressed plugin names it."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    ok, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"cannot encode an image of shape {pixels.shape} as JPEG")
    return CompressedImage(
        header=header(stamp_ns, frame_id),
        format="rgb8; jpeg compressed bgr8",
        data=array.array("B", jpeg.tobytes()),
    )


def pixels_of(message: Image | CompressedImage) -> Pixels:
    """The RGB pixels of an image message; UserError where it cannot be read."""
    if isinstance(message, CompressedImage):
        return decode_compressed(message.data, message.format)
    return decode_raw(message.data, message.encoding, message.height, message.width, message.step)


def joint_state(names: Sequence[str], positions: np.ndarray, stamp_ns: int) -> JointState:
    """Positions [rad or m] of named joints: a measurement, or a command."""
    return JointState(
        header=header(stamp_ns), name=list(names), position=array.array("d", positions.tolist())
    )


def hand_command(message: JointState) -> tuple[tuple[str, ...], Float64[np.ndarray, " named"]]:
    """Joint names and target positions of a hand command."""
    return tuple(message.name), np.array(message.position, dtype=np.float64)


def pose_message(T: Pose) -> PoseMessage:
    """A ROS pose of a 4x4 matrix."""
    out = PoseMessage()
    out.position.x, out.position.y, out.position.z = map(float, T[:3, 3])
    x, y, z, w = map(float, quat_from_matrix(T[:3, :3]))
    out.orientation.x, out.orientation.y, out.orientation.z, out.orientation.w = x, y, z, w
    return out


def pose_matrix(message: PoseMessage) -> Pose:
    """The 4x4 matrix of a ROS pose."""
    p, q = message.position, message.orientation
    rotation = matrix_from_quat(np.array([q.x, q.y, q.z, q.w]))
    return pose(rotation, np.array([p.x, p.y, p.z]))


def pose_stamped(T: Pose, stamp_ns: int, frame_id: str = BASE_FRAME) -> PoseStamped:
    """A stamped ROS pose in `frame_id`."""
    return PoseStamped(header=header(stamp_ns, frame_id), pose=pose_message(T))


def delta_message(command: DeltaCommand) -> EndEffectorDelta:
    """The message of a delta command."""
    x, y, z, a, b, c = map(float, command.delta_ee)
    return EndEffectorDelta(
        header=header(command.stamp_ns, command.frame),
        translation=Vector3(x=x, y=y, z=z),
        rotation=Vector3(x=a, y=b, z=c),
        duration=duration_message(command.duration_s),
        sequence=command.sequence,
        source=SOURCES[command.source],
    )


def delta_command(message: EndEffectorDelta) -> DeltaCommand:
    """The delta command of a message, as it came: nothing is checked here."""
    t, w = message.translation, message.rotation
    return DeltaCommand(
        delta_ee=np.array([t.x, t.y, t.z, w.x, w.y, w.z]),
        frame=message.header.frame_id,
        duration_s=time_ns(message.duration) / NS_PER_S,
        stamp_ns=time_ns(message.header.stamp),
        sequence=message.sequence,
        source=_SOURCE_NAMES.get(message.source, "unknown"),
    )


def truth_message(session: Session, stamp_ns: int) -> WorldTruth:
    """What the simulation knows now."""
    truth = session.truth
    return WorldTruth(
        header=header(stamp_ns, BASE_FRAME),
        episode_id=session.episode_id,
        task=session.request.task,
        instruction=session.world.instruction,
        end_effector=session.request.end_effector,
        success=session.state == "succeeded",
        ee_pose=pose_message(truth.T_base_ee),
        joint_names=list(truth.joint_names),
        joint_positions=array.array("d", truth.joint_positions.tolist()),
        names=list(truth.bodies),
        poses=[pose_message(T) for T in truth.bodies.values()],
        scalar_names=[_TIME_SCALAR, *truth.scalars],
        scalars=array.array("d", [truth.time_s, *map(float, truth.scalars.values())]),
    )


def truth_from(message: WorldTruth) -> Truth:
    """The Truth that a WorldTruth carries."""
    scalars = dict(zip(message.scalar_names, message.scalars, strict=True))
    return Truth(
        time_s=scalars.pop(_TIME_SCALAR),
        T_base_ee=pose_matrix(message.ee_pose),
        joint_names=tuple(message.joint_names),
        joint_positions=np.array(message.joint_positions, dtype=np.float64),
        bodies=dict(zip(message.names, map(pose_matrix, message.poses), strict=True)),
        scalars=scalars,
    )


def episode_info(session: Session, stamp_ns: int) -> EpisodeInfo:
    """The state of the current episode."""
    return EpisodeInfo(
        header=header(stamp_ns),
        episode_id=session.episode_id,
        state=_STATES[session.state],
        task=session.request.task,
        instruction=session.world.instruction,
        end_effector=session.request.end_effector,
        seed=session.request.seed,
        started=time_message(session.started_ns),
        elapsed=duration_message(session.elapsed_s),
    )


def requested(message: ResetWorld.Request, current: EpisodeRequest) -> EpisodeRequest:
    """The episode that a reset asks for; what it leaves empty stays as it is."""
    return EpisodeRequest(
        task=message.task or current.task,
        end_effector=message.end_effector or current.end_effector,
        seed=message.seed,
        difficulty=message.difficulty,
        distractors=tuple(message.distractors),
    )


@dataclass(frozen=True)
class SimHealth:
    """How the simulator fares. Counts are (stalls of the loop, refused commands)."""

    real_time_factor: float
    totals: tuple[int, int]
    since_last_report: tuple[int, int]
    last_refusal: str


def diagnostics(health: SimHealth, stamp_ns: int) -> DiagnosticArray:
    """The /diagnostics message; a warning where ticks were dropped or commands refused lately."""
    text = f"{health.real_time_factor:.2f} x real time"
    level = DiagnosticStatus.OK
    stalls, refusals = health.since_last_report
    if stalls:
        level, text = DiagnosticStatus.WARN, f"{stalls} stalls, {text}"
    if refusals:
        level = DiagnosticStatus.WARN
        text = f"{refusals} commands refused, last {health.last_refusal}"
    values = {
        "real_time_factor": f"{health.real_time_factor:.3f}",
        "tick_overruns": str(health.totals[0]),
        "refused_commands": str(health.totals[1]),
        "last_refusal": health.last_refusal,
    }
    status = DiagnosticStatus(
        level=level,
        name="sim_node",
        message=text,
        hardware_id="simulated_arm",
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
    return DiagnosticArray(header=header(stamp_ns), status=[status])
