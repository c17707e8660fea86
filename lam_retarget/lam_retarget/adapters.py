"""What hands' drivers take: one decorated function for each type of message.

    @adapter("std_msgs/msg/Float64MultiArray")
    def float64_multi_array(drive: Drive, kind: type) -> Any:
        return kind(data=array("d", drive.values))

`kind` is the message's class, of an action that of its goal, of a service that of its request; so
nothing of ROS is imported here, and a type is only needed where its hand is. Values are in the
driver's own unit, order and sign (lam_models.hands.driver).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lam_models.command import unknown


@dataclass(frozen=True)
class Drive:
    """One command. names, values: by channel. period_s: until the next one."""

    names: tuple[str, ...]
    values: list[float]
    stamp_ns: int = 0
    period_s: float = 0.0
    max_effort: float = 0.0


Build = Callable[..., Any]


@dataclass(frozen=True)
class Adapter:
    """build(drive, kind, *parts) makes the message. parts: types of messages inside it."""

    build: Build
    parts: tuple[str, ...] = ()


_ADAPTERS: dict[str, Adapter] = {}
ADAPTERS: Mapping[str, Adapter] = _ADAPTERS


def adapter(type_name: str, *parts: str) -> Callable[[Build], Build]:
    """Register the function that makes messages of a type."""

    def register(build: Build) -> Build:
        _ADAPTERS[type_name] = Adapter(build, parts)
        return build

    return register


def find_adapter(type_name: str) -> Adapter:
    """The adapter of a type. UserError if there is none."""
    if type_name not in _ADAPTERS:
        raise unknown("type of a hand's commands", type_name, _ADAPTERS)
    return _ADAPTERS[type_name]


def _split(seconds: float) -> dict[str, int]:
    sec, nanosec = divmod(round(seconds * 1e9), 1_000_000_000)
    return {"sec": sec, "nanosec": nanosec}


@adapter("sensor_msgs/msg/JointState")
def joint_state(drive: Drive, kind: type) -> Any:
    """Target positions by name."""
    message = kind(name=list(drive.names), position=array("d", drive.values))
    stamp = message.header.stamp
    stamp.sec, stamp.nanosec = divmod(drive.stamp_ns, 1_000_000_000)
    return message


@adapter("std_msgs/msg/Float64MultiArray")
def float64_multi_array(drive: Drive, kind: type) -> Any:
    """A forward command controller: numbers in the controller's order."""
    return kind(data=array("d", drive.values))


@adapter("trajectory_msgs/msg/JointTrajectory", "trajectory_msgs/msg/JointTrajectoryPoint")
def joint_trajectory(drive: Drive, kind: type, point: type) -> Any:
    """A joint trajectory controller: one point, reached when the next one comes.

    The stamp stays zero, "start now": another would have to agree with the controller's clock.
    """
    target = point(positions=array("d", drive.values))
    for name, value in _split(drive.period_s).items():
        setattr(target.time_from_start, name, value)
    return kind(joint_names=list(drive.names), points=[target])


@adapter("control_msgs/action/GripperCommand")
def gripper_command(drive: Drive, kind: type) -> Any:
    """A goal of one position; what it means is the driver's affair (Franka: half the width)."""
    goal = kind()
    (goal.command.position,) = drive.values
    goal.command.max_effort = drive.max_effort
    return goal


@adapter("control_msgs/action/ParallelGripperCommand")
def parallel_gripper_command(drive: Drive, kind: type) -> Any:
    """A goal of positions by name; an effort only where one is asked for."""
    goal = kind()
    goal.command.name = list(drive.names)
    goal.command.position = array("d", drive.values)
    if drive.max_effort:
        goal.command.effort = array("d", [drive.max_effort] * len(drive.values))
    return goal


@adapter("ah_messages/msg/Digits")
def digits(drive: Drive, kind: type) -> Any:
    """The Ability hand; reply mode 0 asks for positions, currents and touch."""
    return kind(reply_mode=0, data=array("f", drive.values))


@adapter("service_interfaces/msg/SetAngle1")
def set_angle_1(drive: Drive, kind: type) -> Any:
    """The Inspire hand's topic; fingers count from 1 in the driver's order."""
    return kind(
        finger_ids=list(range(1, len(drive.values) + 1)),
        angles=[round(value) for value in drive.values],
    )


@adapter("service_interfaces/srv/Setangle")
def setangle(drive: Drive, kind: type) -> Any:
    """The Inspire hand's service: angle0 to angle5 of the hand with the factory's number."""
    request = kind(id=1, status="set_angle")
    for index, value in enumerate(drive.values):
        setattr(request, f"angle{index}", round(value))
    return request
