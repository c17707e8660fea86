"""Which topics of a recording are which streams, as the robot's file and the recording say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lam_models.command import UserError, unknown
from lam_models.data.bags.recording import Recording
from lam_models.sense.observing import Ages
from lam_models.sense.pinhole import Pinhole
from lam_models.strict_json import from_json
from lam_models.strict_yaml import read_yaml

_IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_DELTA = "lam_msgs/msg/EndEffectorDelta"
_HAND = ("sensor_msgs/msg/JointState", "trajectory_msgs/msg/JointTrajectory")
_ARRAY = "std_msgs/msg/Float64MultiArray"
_COMPRESSED = "/compressed"
# How recorders name what a topic is for.
HAND_ROLES = ("hand_command", "hand")


@dataclass(frozen=True)
class Robot:
    """What a robot's file says of its streams; the defaults are those of policy_node.

    hand_topic: what arbiter_node passes on to the hand, "" where the file does not say.
    pinholes: of the cameras that stand still and are calibrated.
    """

    cameras: Mapping[str, str]
    joint_topic: str = "/joint_states"
    pose_topic: str = "/ee_pose"
    command_topic: str = "/ee_delta"
    hand_topic: str = ""
    base_frame: str = "base_link"
    ages: Ages = field(default_factory=Ages)
    pinholes: Mapping[str, Pinhole] = field(default_factory=dict)


@dataclass(frozen=True)
class Topics:
    """Topics in the recording; "" for what it does not have. hand: commands to the hand."""

    cameras: Mapping[str, str]
    pose: str
    joints: str
    delta: str
    hand: str

    @property
    def light(self) -> tuple[str, ...]:
        """Those that are no pictures."""
        return tuple(name for name in (self.pose, self.joints, self.delta, self.hand) if name)


def read_robot(path: Path) -> dict[str, Any]:
    """Content of a robot's parameter file."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"the robot's file {path} holds no sections of parameters")
    return content


def robot_of(content: Mapping[str, Any]) -> Robot:
    """Of a robot's parameter file: what policy_node reads of it, and who commands the hand."""
    values = content.get("policy_node", {}).get("ros__parameters", {})
    arbiter = content.get("arbiter_node", {}).get("ros__parameters", {})
    if not values.get("cameras"):
        raise UserError("the robot's file names no cameras (policy_node.cameras)")
    names, topics = values["cameras"], values.get("camera_topics", [])
    if len(names) != len(topics):
        raise UserError(f"the robot's file has {len(names)} cameras, {len(topics)} camera_topics")
    default = Robot({})
    ages = Ages(
        values.get("camera_max_age_s", default.ages.camera_s),
        values.get("joint_max_age_s", default.ages.joints_s),
        values.get("ee_pose_max_age_s", default.ages.pose_s),
    )
    return Robot(
        cameras=dict(zip(names, map(absolute, topics), strict=True)),
        joint_topic=absolute(values.get("joint_topic", default.joint_topic)),
        pose_topic=absolute(values.get("ee_pose_topic", default.pose_topic)),
        command_topic=absolute(values.get("command_topic", default.command_topic)),
        hand_topic=absolute(arbiter.get("hand_topic", "")),
        base_frame=values.get("base_frame", default.base_frame),
        ages=ages,
        pinholes=_pinholes(content, names),
    )


def _pinholes(content: Mapping[str, Any], cameras: Sequence[str]) -> dict[str, Pinhole]:
    found = content.get("calibration", {}).get("ros__parameters", {})
    for name in found:
        if name not in cameras:
            raise unknown("camera of the robot's calibration", name, cameras)
    return {name: from_json(Pinhole, raw, f"calibration of {name}") for name, raw in found.items()}


def absolute(topic: str) -> str:
    """A topic's name as bags have it."""
    return topic if not topic or topic.startswith("/") else f"/{topic}"


def topics_of(
    recording: Recording, robot: Robot, cameras: Sequence[str] = (), hand_topic: str = ""
) -> Topics:
    """The recording's topics. cameras: these ones only. UserError for what must be there."""
    types = recording.types
    for name in cameras:
        if name not in robot.cameras:
            raise unknown("camera", name, robot.cameras)
    found = {
        name: _camera_topic(name, topic, types)
        for name, topic in robot.cameras.items()
        if not cameras or name in cameras
    }
    if not robot.pose_topic:
        raise UserError("the robot takes its pose from tf2, which is not converted: name a topic")
    if robot.pose_topic not in types:
        raise UserError(f"no message on {robot.pose_topic}, the end effector's pose")
    delta = robot.command_topic if robot.command_topic in types else ""
    if delta and types[delta] != _DELTA:
        raise UserError(f"{delta} is {types[delta]}, not {_DELTA}")
    return Topics(
        cameras=found,
        pose=robot.pose_topic,
        joints=robot.joint_topic if robot.joint_topic in types else "",
        delta=delta,
        hand=_hand_topic(recording, robot, absolute(hand_topic)),
    )


def _camera_topic(name: str, topic: str, types: Mapping[str, str]) -> str:
    """The topic the policy looks at, or the same pictures raw or compressed."""
    bare = topic.removesuffix(_COMPRESSED)
    for one in (topic, bare + _COMPRESSED, bare):
        if types.get(one) in _IMAGES:
            return one
    raise UserError(f"no picture of camera '{name}' on {topic}")


def _hand_topic(recording: Recording, robot: Robot, wanted: str) -> str:
    types, roles = recording.types, recording.about.roles
    kinds = (*_HAND, _ARRAY)
    if wanted:
        if wanted not in types:
            return ""
        if types[wanted] not in kinds:
            raise UserError(f"{wanted} is {types[wanted]}; known for hands: {', '.join(kinds)}")
        return wanted
    by_role = [name for name, role in roles.items() if role in HAND_ROLES and name in types]
    by_robot = [robot.hand_topic] if types.get(robot.hand_topic) in kinds else []
    by_type = [name for name, kind in types.items() if kind in _HAND and name != robot.joint_topic]
    found = by_robot or by_role or by_type
    if len(found) > 1:
        raise UserError(
            f"which one commands the hand: {', '.join(sorted(found))}? Say --hand-topic"
        )
    return found[0] if found else ""
