"""From samples to what a policy sees: the same code in the node and in the converter of bags.

Streams: one a camera, by the camera's name, with Pictures; "ee_pose" with 4x4 poses in the base
frame; "joints" with positions [rad or m] by joint name.

Values are made of the fields of a sensor message, whoever decoded it: rclpy on the robot, a reader
of bags without ROS. Quaternions are (x, y, z, w) there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from lam_models.command import UserError
from lam_models.geometry import Pose, matrix_from_quat, pose, so3_log
from lam_models.sense.pixels import decode_compressed, decode_raw, fit

POSE, JOINTS = "ee_pose", "joints"
COMPRESSED = "compressed"
NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Picture:
    """An image as it came, not yet decoded: most are never looked at.

    encoding: of sensor_msgs/Image, or "compressed" (then the sizes are 0 and `format` says which).
    data: anything with the buffer protocol.
    """

    data: Any
    encoding: str
    height: int = 0
    width: int = 0
    step: int = 0
    format: str = ""


@dataclass(frozen=True)
class Ages:
    """How old each kind of stream may be."""

    camera_s: float = 0.2
    joints_s: float = 0.2
    pose_s: float = 0.2


def time_ns(message: Any) -> int:
    """Nanoseconds of a ROS time or duration."""
    return message.sec * NS_PER_S + message.nanosec


def picture_of(message: Any) -> Picture:
    """The image of a sensor_msgs/Image or CompressedImage, nothing copied."""
    if not hasattr(message, "encoding"):
        return Picture(message.data, COMPRESSED, format=message.format)
    return Picture(message.data, message.encoding, message.height, message.width, message.step)


def joints_of(message: Any) -> dict[str, float]:
    """Positions [rad or m] by joint name, of a sensor_msgs/JointState."""
    return dict(zip(message.name, message.position, strict=False))


def pose_of(message: Any) -> Pose:
    """The 4x4 matrix of a geometry_msgs/PoseStamped."""
    p, q = message.pose.position, message.pose.orientation
    return pose(matrix_from_quat(np.array([q.x, q.y, q.z, q.w])), np.array([p.x, p.y, p.z]))


def pixels_of(
    picture: Picture, height: int, width: int, how: str = "crop"
) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """The picture in RGB and of this size, in memory of its own. how: a way of pixels.fit."""
    pixels = decoded(picture)
    fitted = fit(pixels, height, width, how)
    return fitted.copy() if np.may_share_memory(fitted, pixels) else fitted


def shrunk(picture: Picture, height: int, width: int, how: str = "crop") -> Picture:
    """A raw picture with no more pixels than are wanted; every other one as it came.

    What cannot be read stays as it is, too: whoever looks at it says why.
    """
    if picture.encoding == COMPRESSED or picture.height * picture.width <= height * width:
        return picture
    try:
        pixels = fit(decoded(picture), height, width, how)
    except UserError:
        return picture
    return Picture(np.ascontiguousarray(pixels).data, "rgb8", height, width, 3 * width)


def decoded(picture: Picture) -> UInt8[np.ndarray, "rows columns 3"]:
    """The picture in RGB as large as it came; perhaps a view of its data."""
    if picture.encoding == COMPRESSED:
        return decode_compressed(picture.data, picture.format)
    return decode_raw(picture.data, picture.encoding, picture.height, picture.width, picture.step)


def ee_vector(T_base_ee: Pose) -> Float64[np.ndarray, "6"]:
    """Position [m], then rotation vector [rad]."""
    return np.concatenate([T_base_ee[:3, 3], so3_log(T_base_ee[:3, :3])])


def joint_vector(
    joints: Mapping[str, float], names: Sequence[str]
) -> Float64[np.ndarray, " joints"]:
    """Positions in the order of `names`. UserError for a joint that the robot does not report."""
    if missing := [name for name in names if name not in joints]:
        known = ", ".join(joints)
        raise UserError(f"the robot reports no joint '{missing[0]}'; it reports: {known}")
    return np.array([joints[name] for name in names], np.float64)
