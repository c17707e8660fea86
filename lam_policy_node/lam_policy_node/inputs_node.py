"""The topics that a policy sees: pictures, joints and the end effector's pose.

Callbacks store what came and return; what is compressed is not decoded here. Only streams that the
loaded policy needs are subscribed to.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.time import Time
from sensor_msgs.msg import CompressedImage, Image, JointState

from lam_models.checkpoint import Spec
from lam_models.command import UserError, unknown
from lam_policy_node import messages
from lam_policy_node.observing import JOINTS, POSE
from lam_policy_node.params import PolicySettings

# Stream, its stamp [ns], when it arrived [ns], value.
Take = Callable[[str, int, int, Any], str]


class Inputs:
    """Subscriptions of one policy; `close` ends them."""

    def __init__(
        self,
        node: Node,
        settings: PolicySettings,
        spec: Spec,
        streams: Collection[str],
        take: Take,
    ) -> None:
        self._node, self._settings, self._take = node, settings, take
        self._subscriptions: list[Any] = []
        self._said: set[str] = set()
        self._convert = messages.cv_bridge_convert()
        self._transforms: Transforms | None = None
        topics = dict(zip(settings.cameras, settings.camera_topics, strict=True))
        for camera in spec.cameras:
            if camera.name not in topics:
                raise unknown("camera of this robot, which the policy needs,", camera.name, topics)
            topic = topics[camera.name]
            kind = CompressedImage if topic.endswith("/compressed") else Image
            self._listen(kind, topic, partial(self._on_picture, camera.name))
        if JOINTS in streams:
            self._listen(JointState, settings.joint_topic, self._on_joints)
        if POSE in streams and settings.ee_pose_topic:
            self._listen(PoseStamped, settings.ee_pose_topic, self._on_pose)
        elif POSE in streams:
            self._transforms = Transforms(node, settings.base_frame, settings.ee_frame)

    def _listen(self, kind: type, topic: str, callback: Callable[[Any], None]) -> None:
        # Best effort meets both reliable and best-effort publishers.
        subscription = self._node.create_subscription(
            kind, topic, callback, qos_profile_sensor_data
        )
        self._subscriptions.append(subscription)

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()
        if self._transforms is not None:
            self._transforms.close()

    def look(self, now_ns: int) -> None:
        """Take what does not come by itself: the pose out of tf2."""
        if self._transforms is not None and (found := self._transforms.newest()) is not None:
            self._push(POSE, found[0], found[1], now_ns)

    def _on_picture(self, camera: str, message: Image | CompressedImage) -> None:
        value = messages.picture_of(message, self._convert)
        self._push(camera, messages.time_ns(message.header.stamp), value)

    def _on_joints(self, message: JointState) -> None:
        value = messages.joints_of(message)
        self._push(JOINTS, messages.time_ns(message.header.stamp), value)

    def _on_pose(self, message: PoseStamped) -> None:
        frame, wanted = message.header.frame_id, self._settings.base_frame
        if frame != wanted:
            self._say(f"{self._settings.ee_pose_topic} is in '{frame}', not in '{wanted}'")
            return
        self._push(POSE, messages.time_ns(message.header.stamp), messages.pose_of(message))

    def _push(self, stream: str, stamp_ns: int, value: Any, now_ns: int | None = None) -> None:
        now_ns = self._node.get_clock().now().nanoseconds if now_ns is None else now_ns
        # Some drivers leave the stamp out; then the arrival has to do.
        if fault := self._take(stream, stamp_ns or now_ns, now_ns, value):
            self._say(fault)

    def _say(self, fault: str) -> None:
        """Once a stream: a source that is wrong at 30 Hz must not fill the log."""
        kind = fault.partition(":")[0]
        if kind not in self._said:
            self._said.add(kind)
            self._node.get_logger().warning(fault)


class Transforms:
    """The end effector's pose out of tf2, where that is installed."""

    def __init__(self, node: Node, base_frame: str, ee_frame: str) -> None:
        try:
            import tf2_ros
        except ImportError:
            raise UserError(
                "parameter 'ee_pose_topic' is empty, but tf2_ros is not installed: name a topic"
            ) from None
        self._frames = base_frame, ee_frame
        self._missing = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, node)
        self._newest_ns = -1

    def newest(self) -> tuple[int, Any] | None:
        """Stamp [ns] and 4x4 pose, where there is a newer one than before."""
        try:
            found = self._buffer.lookup_transform(*self._frames, Time())
        except self._missing:
            return None
        stamp_ns = messages.time_ns(found.header.stamp)
        if stamp_ns <= self._newest_ns:
            return None
        self._newest_ns = stamp_ns
        return stamp_ns, messages.pose_of_transform(found.transform)

    def close(self) -> None:
        self._listener.unregister()
