"""The one place that translates between ROS messages and the node's plain values.

Pure functions, no node, no clock. Quaternions (x, y, z, w) and split seconds exist only here.
"""

from __future__ import annotations

import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Transform, TwistStamped, Vector3
from jaxtyping import Float64
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from lam_models.geometry import Pose, matrix_from_quat, pose
from lam_models.sense import observing
from lam_models.sense.observing import NS_PER_S, Picture, joints_of, pose_of, time_ns
from lam_models.types import LatentSpec
from lam_msgs.msg import ActionChunk, EndEffectorDelta, LatentAction, PolicyStatus, SafetyVerdict
from lam_policy_node.drive import Beat
from lam_policy_node.run import Condition, Planned
from lam_policy_node.safety import Verdict

__all__ = ["joints_of", "pose_of", "time_ns"]

# What sense.pixels decodes.
DIRECT = ("rgb8", "bgr8", "rgba8", "bgra8", "mono8")
Convert = Callable[[Image], np.ndarray]
_VERDICTS: Mapping[str, int] = {
    "passed": SafetyVerdict.VERDICT_PASSED,
    "limited": SafetyVerdict.VERDICT_LIMITED,
    "stopped": SafetyVerdict.VERDICT_STOPPED,
}
_STATES: Mapping[Condition | str, int] = {
    "inactive": PolicyStatus.STATE_INACTIVE,
    "running": PolicyStatus.STATE_RUNNING,
    "holding": PolicyStatus.STATE_HOLDING,
    "fault": PolicyStatus.STATE_FAULT,
}


def time_message(stamp_ns: int) -> Time:
    """A ROS time."""
    return Time(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)


def duration_message(duration_ns: int) -> Duration:
    """A ROS duration."""
    sec, nanosec = divmod(duration_ns, NS_PER_S)
    return Duration(sec=sec, nanosec=nanosec)


def header(stamp_ns: int, frame_id: str = "") -> Header:
    """A ROS header."""
    return Header(stamp=time_message(stamp_ns), frame_id=frame_id)


def cv_bridge_convert() -> Convert | None:
    """What makes RGB of any image message, where cv_bridge is installed."""
    try:
        from cv_bridge import CvBridge
    except ImportError:
        return None
    return partial(CvBridge().imgmsg_to_cv2, desired_encoding="rgb8")


def picture_of(message: Image | CompressedImage, convert: Convert | None = None) -> Picture:
    """The image as it came, nothing copied; through `convert` where we cannot decode it ourselves.

    The common encodings are decoded without cv_bridge, to the same pixels and later, in the
    policy's process.
    """
    compressed = isinstance(message, CompressedImage)
    if compressed or message.encoding in DIRECT or convert is None:
        return observing.picture_of(message)
    rgb = np.ascontiguousarray(convert(message))
    return Picture(rgb.data, "rgb8", message.height, message.width, 3 * message.width)


def pose_of_transform(message: Transform) -> Pose:
    """The 4x4 matrix of a transform."""
    p, q = message.translation, message.rotation
    return pose(matrix_from_quat(np.array([q.x, q.y, q.z, q.w])), np.array([p.x, p.y, p.z]))


def _vectors(motion: Float64[np.ndarray, "6"]) -> tuple[Vector3, Vector3]:
    x, y, z, a, b, c = map(float, motion)
    return Vector3(x=x, y=y, z=z), Vector3(x=a, y=b, z=c)


def delta_message(
    motion: Float64[np.ndarray, "6"], frame_id: str, stamp_ns: int, period_ns: int, sequence: int
) -> EndEffectorDelta:
    """The command of a motion [m, rad] over one control period."""
    translation, rotation = _vectors(motion)
    return EndEffectorDelta(
        header=header(stamp_ns, frame_id),
        translation=translation,
        rotation=rotation,
        duration=duration_message(period_ns),
        sequence=sequence,
        source=EndEffectorDelta.SOURCE_POLICY,
    )


def twist_message(velocity: Float64[np.ndarray, "6"], frame_id: str, stamp_ns: int) -> TwistStamped:
    """A velocity [m/s, rad/s]."""
    message = TwistStamped(header=header(stamp_ns, frame_id))
    message.twist.linear, message.twist.angular = _vectors(velocity)
    return message


@dataclass(frozen=True)
class Told:
    """What a policy follows: travels with its latents."""

    instruction: str = ""
    episode_id: str = ""


def latent_message(beat: Beat, space: LatentSpec, told: Told, now_ns: int) -> LatentAction:
    """The hand latent that is due on a beat."""
    values = np.asarray(() if beat.hand is None else beat.hand, np.float32)
    return LatentAction(
        header=header(beat.observed_ns),
        space=space.name,
        space_hash=space.space_hash,
        horizon=1,
        dim=len(values),
        values=array.array("f", values.tobytes()),
        latency=duration_message(max(0, now_ns - beat.observed_ns)),
        episode_id=told.episode_id,
        instruction=told.instruction,
    )


def chunk_message(
    planned: Planned, frame_id: str, motion_space: LatentSpec | None, told: Told, now_ns: int
) -> ActionChunk:
    """A whole answer of the policy, for those who look on."""
    chunk, step_ns = planned.chunk, round(planned.chunk.dt_s * NS_PER_S)
    age = duration_message(max(0, now_ns - planned.observed_ns))
    steps, dim = chunk.hand.shape
    shared = {"header": header(planned.observed_ns), "latency": age}
    shared |= {"instruction": told.instruction, "episode_id": told.episode_id}
    shared |= {"step_duration": duration_message(step_ns), "horizon": steps}
    hand = LatentAction(
        space=chunk.hand_space.name,
        space_hash=chunk.hand_space.space_hash,
        dim=dim,
        values=array.array("f", chunk.hand.astype(np.float32).tobytes()),
        **shared,
    )
    motion = LatentAction(**{**shared, "horizon": 1})
    if chunk.motion_codes is not None:
        motion.codes = array.array("H", chunk.motion_codes.tolist())
        motion.codes_per_step = len(chunk.motion_codes)
    if motion_space is not None:
        motion.space, motion.space_hash = motion_space.name, motion_space.space_hash
    return ActionChunk(
        header=header(planned.observed_ns, frame_id),
        start=time_message(chunk.start_ns),
        step_duration=duration_message(step_ns),
        horizon=steps,
        delta_ee=array.array("f", chunk.delta_ee.astype(np.float32).tobytes()),
        hand=hand,
        motion=motion,
        model_latency=duration_message(planned.model_ns),
        sequence=planned.sequence,
    )


def verdict_message(verdict: Verdict, frame_id: str, stamp_ns: int, sequence: int) -> SafetyVerdict:
    """What the safety said of command `sequence`."""
    return SafetyVerdict(
        header=header(stamp_ns, frame_id),
        sequence=sequence,
        verdict=_VERDICTS[verdict.verdict],
        limits=list(verdict.limits),
        reason=verdict.reason,
        requested=verdict.requested.astype(np.float64),
        allowed=verdict.allowed.astype(np.float64),
    )


@dataclass(frozen=True)
class Report:
    """How the node fares. condition: "inactive" or that of run.Run. latency_s: median and p95."""

    condition: str
    reason: str
    policy: str
    policy_hash: str
    told: Told
    ages_s: Mapping[str, float]
    latency_s: tuple[float, float]
    chunks: int
    late: int
    dry_run: bool


def status_message(report: Report, stamp_ns: int) -> PolicyStatus:
    """The status at a low rate."""
    return PolicyStatus(
        header=header(stamp_ns),
        state=_STATES[report.condition],
        reason=report.reason,
        policy=report.policy,
        policy_hash=report.policy_hash,
        instruction=report.told.instruction,
        streams=list(report.ages_s),
        stream_ages_s=array.array("f", report.ages_s.values()),
        latency_p50_s=report.latency_s[0],
        latency_p95_s=report.latency_s[1],
        chunks=report.chunks,
        late_chunks=report.late,
        dry_run=report.dry_run,
    )


def diagnostics(
    report: Report, stages_s: Mapping[str, Sequence[float]], counts: Mapping[str, int], now_ns: int
) -> DiagnosticArray:
    """The /diagnostics message: an error for a fault, a warning while it holds still."""
    levels = {"fault": DiagnosticStatus.ERROR, "holding": DiagnosticStatus.WARN}
    values = {f"{stage}_p50_ms": f"{1e3 * p50:.2f}" for stage, (p50, _) in stages_s.items()}
    values |= {f"{stage}_p95_ms": f"{1e3 * p95:.2f}" for stage, (_, p95) in stages_s.items()}
    values |= {f"{stream}_age_ms": f"{1e3 * age:.1f}" for stream, age in report.ages_s.items()}
    values |= {name: str(count) for name, count in counts.items()}
    text = f"{report.condition}: {report.reason}" if report.reason else report.condition
    status = DiagnosticStatus(
        level=levels.get(report.condition, DiagnosticStatus.OK),
        name="policy_node",
        message=f"{text} (dry run)" if report.dry_run else text,
        hardware_id=report.policy,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
    return DiagnosticArray(header=header(now_ns), status=[status])
