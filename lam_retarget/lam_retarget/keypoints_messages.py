"""Translates between the messages of tracked hands and plain values. Pure functions."""

from __future__ import annotations

from array import array

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseArray, PoseStamped, Quaternion
from jaxtyping import Float
from std_msgs.msg import Header

from lam_models.geometry import quat_from_matrix
from lam_models.hands.keypoints import LAYOUTS, Layout
from lam_models.types import LatentSpec
from lam_msgs.msg import HandKeypoints, LatentAction
from lam_retarget.judging import NS_PER_S
from lam_retarget.messages import time_message, time_ns
from lam_retarget.tracking import Frame

SIDES = {
    "": HandKeypoints.SIDE_UNKNOWN,
    "left": HandKeypoints.SIDE_LEFT,
    "right": HandKeypoints.SIDE_RIGHT,
}
_SIDE_NAMES = {number: name for name, number in SIDES.items()}


def spelled(layout: Layout) -> str:
    """The layout's name in messages."""
    return f"{layout.name}_{len(layout.joints)}"


def frame_of(message: HandKeypoints | PoseArray, layout: str) -> Frame:
    """A tracker's frame as it came. layout: that of a PoseArray, by its name in LAYOUTS."""
    xyz = [(p.position.x, p.position.y, p.position.z) for p in message.poses]
    positions = np.array(xyz, dtype=np.float64).reshape(-1, 3)
    stamp_ns = time_ns(message.header.stamp)
    if isinstance(message, PoseArray):
        return Frame(spelled(LAYOUTS[layout]), (), positions, stamp_ns=stamp_ns)
    return Frame(
        layout=message.layout,
        names=tuple(message.names),
        positions=positions,
        valid=tuple(message.valid),
        side=_SIDE_NAMES.get(message.side, ""),
        stamp_ns=stamp_ns,
    )


def latent_action(
    space: LatentSpec, latent: np.ndarray, stamp_ns: int, latency_ns: int
) -> LatentAction:
    """One latent that is due now."""
    message = LatentAction(
        header=Header(stamp=time_message(stamp_ns)),
        space=space.name,
        space_hash=space.space_hash,
        horizon=1,
        dim=latent.size,
        values=array("f", latent.ravel().tolist()),
    )
    message.latency.sec, message.latency.nanosec = divmod(latency_ns, NS_PER_S)
    return message


def palm_pose(T_sensor_palm: Float[np.ndarray, "4 4"], header: Header) -> PoseStamped:
    """Where the palm is, in the tracker's frame."""
    x, y, z = T_sensor_palm[:3, 3].tolist()
    qx, qy, qz, qw = quat_from_matrix(T_sensor_palm[:3, :3]).tolist()
    pose = Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))
    return PoseStamped(header=header, pose=pose)


def hand_keypoints(
    joints: Float[np.ndarray, "joints 3"], layout: Layout, side: str, header: Header
) -> HandKeypoints:
    """A frame of a tracker that lost nothing and knows no orientations."""
    return HandKeypoints(
        header=header,
        layout=spelled(layout),
        side=SIDES[side],
        names=list(layout.joints),
        poses=[Pose(position=Point(x=x, y=y, z=z)) for x, y, z in joints.tolist()],
        valid=[True] * len(joints),
    )
