"""Translates between the messages of commands and plain values. Pure functions, no clock."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

import numpy as np
from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Vector3
from jaxtyping import Float
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from lam_models.types import LatentSpec
from lam_msgs.msg import EndEffectorDelta, LatentAction
from lam_teleop.arbitration import NS_PER_S, Order

SOURCES: Mapping[str, int] = {
    "teleop": EndEffectorDelta.SOURCE_TELEOP,
    "policy": EndEffectorDelta.SOURCE_POLICY,
    "expert": EndEffectorDelta.SOURCE_EXPERT,
}
_NAMES = {number: name for name, number in SOURCES.items()}


def time_message(stamp_ns: int) -> Time:
    """A ROS time."""
    return Time(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)


def time_ns(message: Time | Duration) -> int:
    """Nanoseconds of a ROS time or duration."""
    return message.sec * NS_PER_S + message.nanosec


def duration_message(duration_ns: int) -> Duration:
    """A ROS duration."""
    sec, nanosec = divmod(duration_ns, NS_PER_S)
    return Duration(sec=sec, nanosec=nanosec)


def delta_message(
    motion: Float[np.ndarray, "6"], frame_id: str, stamp_ns: int, period_ns: int, source: str
) -> EndEffectorDelta:
    """The command of a motion [m, rad] over one period. sequence: the sender's."""
    x, y, z, a, b, c = motion.tolist()
    return EndEffectorDelta(
        header=Header(stamp=time_message(stamp_ns), frame_id=frame_id),
        translation=Vector3(x=x, y=y, z=z),
        rotation=Vector3(x=a, y=b, z=c),
        duration=duration_message(period_ns),
        source=SOURCES[source],
    )


def motion_of(message: EndEffectorDelta) -> Float[np.ndarray, "6"]:
    """The motion [m, rad] of a command."""
    t, w = message.translation, message.rotation
    return np.array([t.x, t.y, t.z, w.x, w.y, w.z])


def latent_message(
    latent: Float[np.ndarray, " dim"], space: LatentSpec, space_hash: str, stamp_ns: int
) -> LatentAction:
    """A latent that is due now. space_hash: that of the space, which takes time to compute."""
    return LatentAction(
        header=Header(stamp=time_message(stamp_ns)),
        space=space.name,
        space_hash=space_hash,
        horizon=1,
        dim=len(latent),
        values=array("f", latent.tolist()),
    )


def delta_order(message: EndEffectorDelta, source: str) -> Order:
    """A delta command that came on a source's topic."""
    motion = motion_of(message)
    return Order(
        source=source,
        part="arm",
        stamp_ns=time_ns(message.header.stamp),
        said=_NAMES.get(message.source, "unknown"),
        finite=bool(np.isfinite(motion).all()),
        still=not motion.any(),
    )


def latent_order(message: LatentAction, source: str) -> Order:
    """A hand latent that came on a source's topic."""
    finite = bool(np.isfinite(np.asarray(message.values, np.float32)).all())
    return Order(source, "hand", time_ns(message.header.stamp), finite=finite)


def joints_order(message: JointState, source: str) -> Order:
    """Targets of the hand's joints that came on a source's topic."""
    finite = bool(np.isfinite(np.asarray(message.position, np.float64)).all())
    return Order(source, "hand", time_ns(message.header.stamp), finite=finite)


def diagnostics(
    name: str, text: str, well: bool, values: Mapping[str, str], stamp_ns: int
) -> DiagnosticArray:
    """One status: OK where all is well, else a warning."""
    status = DiagnosticStatus(
        level=DiagnosticStatus.OK if well else DiagnosticStatus.WARN,
        name=name,
        message=text,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
    return DiagnosticArray(header=Header(stamp=time_message(stamp_ns)), status=[status])
