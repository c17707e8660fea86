"""Every driver's message: its fields, numbers, units and signs, and its bytes.

Types that come with ROS 2 are the real ones, and so are the others where their package is
installed; where it is not, the documented layout stands in, and its bytes are worked out by hand.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from driver_layouts import LAYOUTS, encoded, stand_in
from rclpy.serialization import deserialize_message, serialize_message

from lam_models.command import UserError
from lam_models.hands.driver import driver_units
from lam_models.hands.spec_file import read_hand, shipped_hands
from lam_retarget.adapters import ADAPTERS, Drive, find_adapter
from lam_retarget.messages import find_type

PART = {"action": "Goal", "srv": "Request"}
STAMP_NS = 3_000_000_007


def classes(type_name: str) -> list[Any]:
    """The message's class and those of its parts: real where installed, else stand-ins."""
    part = PART.get(type_name.split("/")[1], "")
    try:
        found = find_type(type_name)
    except UserError:
        return [stand_in(f"{type_name}.{part}" if part else type_name)]
    parts = [find_type(name) for name in find_adapter(type_name).parts]
    return [getattr(found, part) if part else found, *parts]


def build(type_name: str, names: list[str], values: list[float], **more: Any) -> Any:
    drive = Drive(tuple(names), values, STAMP_NS, **more)
    return find_adapter(type_name).build(drive, *classes(type_name))


def sent(hand: str, q: dict[str, float] | None = None, share: float = 0.0) -> Any:
    """What a hand's driver gets: the lower limits plus a share of the range, but for q."""
    spec = read_hand(hand)
    posture = spec.lower + share * (spec.upper - spec.lower)
    for joint, position in (q or {}).items():
        posture[spec.actuated.index(joint)] = position
    units = driver_units(spec)
    return build(spec.command.type, list(units.names), units.values(posture).tolist())


def through_the_wire(message: Any) -> Any:
    return deserialize_message(serialize_message(message), type(message))


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_every_adapter_fills_its_type(name):
    count = 1 if "Gripper" in name else 6
    message = build(name, [f"joint{i}" for i in range(count)], [float(i) for i in range(count)])
    assert message is not None


@pytest.mark.parametrize("hand", sorted(shipped_hands()))
def test_every_shipped_hand_has_an_adapter(hand):
    spec = read_hand(hand)
    assert sent(hand, share=0.5) is not None
    assert (
        f"/{spec.command.interface}/".replace("topic", "msg").replace("service", "srv")
        in spec.command.type
    )


def test_an_unknown_type_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'sensor_msgs/msg/JointState'"):
        find_adapter("sensor_msgs/msg/JointStates")


def test_a_package_that_is_not_installed_is_named():
    with pytest.raises(UserError, match="'no_such_messages' is not installed"):
        find_type("no_such_messages/msg/Command")
    with pytest.raises(UserError, match="has no sensor_msgs/msg/Joint"):
        find_type("sensor_msgs/msg/Joint")
    with pytest.raises(UserError, match="is no ROS type"):
        find_type("JointState")


def test_joint_state_names_its_joints():
    message = through_the_wire(build("sensor_msgs/msg/JointState", ["a", "b"], [0.25, -1.5]))
    assert (message.name, list(message.position)) == (["a", "b"], [0.25, -1.5])
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (3, 7)
    assert not message.velocity and not message.effort


def test_float64_multi_array_is_the_numbers():
    message = through_the_wire(build("std_msgs/msg/Float64MultiArray", ["a", "b"], [0.25, -1.5]))
    assert list(message.data) == [0.25, -1.5]
    assert not message.layout.dim and message.layout.data_offset == 0


def test_joint_trajectory_is_one_point_that_begins_now():
    kind = "trajectory_msgs/msg/JointTrajectory"
    message = through_the_wire(build(kind, ["a", "b"], [0.25, -1.5], period_s=0.01))
    assert message.joint_names == ["a", "b"]
    (point,) = message.points
    assert list(point.positions) == [0.25, -1.5] and not point.velocities
    assert (point.time_from_start.sec, point.time_from_start.nanosec) == (0, 10_000_000)
    assert (message.header.stamp.sec, message.header.stamp.nanosec) == (0, 0)


# Units, signs and orders as the drivers document them.


def test_franka_takes_half_the_width_in_metres():
    # 0.08 m between the fingers is 0.04 m of each.
    assert sent("panda_gripper", share=1.0).command.position == pytest.approx(0.04)
    assert sent("panda_gripper").command.position == pytest.approx(0.0)


def test_robotiq_takes_the_knuckles_angle():
    goal = sent("robotiq_2f85", share=1.0)
    assert list(goal.command.name) == ["robotiq_85_left_knuckle_joint"]
    assert 0.7 < goal.command.position[0] < 0.9
    assert not len(goal.command.effort)


def test_allegro_takes_radians_in_the_order_of_its_joints():
    message = sent("allegro", {"thumb_rot": 0.5, "index_mcp": 1.25})
    assert len(message.data) == 16
    assert message.data[12] == 0.5 and message.data[1] == 1.25


def test_leap_is_flat_at_pi_and_counts_from_the_index():
    spec = read_hand("leap")
    flat = dict.fromkeys(spec.actuated, 0.0)
    for index, joint in enumerate(spec.command.order):
        positions = sent("leap", {**flat, joint.joint: 0.2}).position
        expected = np.full(16, math.pi)
        expected[index] += 0.2
        np.testing.assert_allclose(positions, expected, atol=1e-6)
    fingers = [channel.joint.split("_")[0] for channel in spec.command.order]
    assert fingers == ["index"] * 4 + ["middle"] * 4 + ["ring"] * 4 + ["thumb"] * 4


def test_ability_takes_degrees_with_the_thumb_last():
    message = sent("ability", {"index_q1": math.pi / 4, "thumb_q2": 0.5})
    assert message.reply_mode == 0 and len(message.data) == 6
    assert message.data[0] == pytest.approx(45.0)
    assert message.data[4] == pytest.approx(math.degrees(0.5))


def test_inspire_takes_integers_where_1000_is_open():
    open_hand, closed = sent("inspire_rh56"), sent("inspire_rh56", share=1.0)
    assert list(open_hand.finger_ids) == [1, 2, 3, 4, 5, 6]
    assert list(open_hand.angles) == [1000] * 6 and list(closed.angles) == [0] * 6
    spec = read_hand("inspire_rh56")
    half = (spec.lower + spec.upper)[spec.actuated.index("little_bend")] / 2
    angles = list(sent("inspire_rh56", {"little_bend": half}).angles)
    assert angles == [500, 1000, 1000, 1000, 1000, 1000]
    assert all(type(angle) is int for angle in angles)


def test_inspire_as_a_service():
    request = build("service_interfaces/srv/Setangle", list("abcdef"), [1000.0, 1, 2, 3, 4, 5])
    assert (request.angle0, request.angle1, request.angle5) == (1000, 1, 5)
    assert (request.id, request.status) == (1, "set_angle")


def test_shadow_couples_the_last_two_joints_of_a_finger():
    message = sent("shadow", share=0.5)
    assert "rh_FFJ0" in message.joint_names and "rh_FFJ1" not in message.joint_names
    assert len(message.joint_names) == len(message.points[0].positions) == 18


# Bytes: little-endian, each number aligned to its size, counts and lengths as uint32.

BYTES = {
    "control_msgs/action/GripperCommand": struct.pack("<2d", 0.02, 15.0),
    "control_msgs/action/ParallelGripperCommand": (
        struct.pack("<iI", 0, 0)  # stamp
        + struct.pack("<I1s3x", 1, b"\0")  # frame_id ""
        + struct.pack("<II2s2x", 1, 2, b"k\0")  # name ["k"]
        + struct.pack("<Id", 1, 0.0)[:4]  # one position, then aligned to 8
        + struct.pack("<d", 0.02)
        + struct.pack("<I", 0)  # velocity []
        + struct.pack("<I", 1)  # effort
        + struct.pack("<d", 15.0)
    ),
    "ah_messages/msg/Digits": struct.pack("<B3xIf", 0, 1, 0.02),
    "service_interfaces/msg/SetAngle1": struct.pack("<IiIi", 1, 1, 1, 0),
    "service_interfaces/srv/Setangle": struct.pack("<7iI10s", *[7] * 6, 1, 10, b"set_angle\0"),
}


@pytest.mark.parametrize("type_name", BYTES)
def test_the_bytes_of_types_that_may_be_missing(type_name):
    layout = next(name for name in LAYOUTS if name.split(".")[0] == type_name)
    values = [7.0] * 6 if "Setangle" in type_name else [0.02]
    names = list("abcdef") if "Setangle" in type_name else ["k"]
    drive = Drive(tuple(names), values, max_effort=15.0)
    message = find_adapter(type_name).build(drive, stand_in(layout))
    assert encoded(layout, message) == BYTES[type_name]
    try:
        find_type(type_name)
    except UserError:
        return
    real = build(type_name, names, values, max_effort=15.0)
    # Compared as values: what the real one leaves between aligned numbers is anything.
    assert deserialize_message(b"\0\1\0\0" + BYTES[type_name], type(real)) == real
