"""A recorder fed without ROS: pictures, joints and commands as a robot would send them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from lam_teleop.bags.definitions import definition_of
from lam_teleop.bags.episode_writer import Topic
from lam_teleop.bags.recorder import Recorder
from lam_teleop.bags.watching import Limits

NS_PER_S = 1_000_000_000
BEGIN_NS = 1_790_000_000 * NS_PER_S
CAMERA, JOINTS, DELTA, WORDS = "/front/compressed", "/joint_states", "/ee_delta", "/instruction"
TYPES = {
    CAMERA: ("sensor_msgs/msg/CompressedImage", "camera"),
    JOINTS: ("sensor_msgs/msg/JointState", "joints"),
    DELTA: ("lam_msgs/msg/EndEffectorDelta", "command"),
    WORDS: ("std_msgs/msg/String", "instruction"),
}
PERIODS_NS = {CAMERA: NS_PER_S // 30, JOINTS: NS_PER_S // 100, DELTA: NS_PER_S // 50}
ROOMY = Limits(pre_roll_s=0.0, min_free_bytes=0)
PROFILE = {"history": "keep_last", "depth": 10, "reliability": "reliable", "durability": "volatile"}


def topics() -> dict[str, Topic]:
    """The robot's topics with their real definitions."""
    return {
        name: Topic(name, kind, role, definition_of(kind), latched=name == WORDS)
        for name, (kind, role) in TYPES.items()
    }


def store():
    """What decodes recorded messages without ROS."""
    found = get_typestore(Stores.ROS2_JAZZY)
    found.register(get_types_from_msg(definition_of(TYPES[DELTA][0]), TYPES[DELTA][0]))
    return found


def picture(stamp_ns: int, number: int, size: int = 30_000) -> bytes:
    """CDR of a CompressedImage; its frame says its number. Noise, as JPEG is to a compressor."""
    payload = np.random.default_rng(number).bytes(size)
    body = _header(stamp_ns, f"{number:07d}")
    for text in (b"jpeg\0",):
        body += struct.pack("<I", len(text)) + text
    body += b"\0" * (-len(body) % 4) + struct.pack("<I", size) + payload
    return b"\0\1\0\0" + body


def joints(stamp_ns: int, number: int) -> bytes:
    """CDR of a JointState of nine joints without names."""
    body = _header(stamp_ns, f"{number:07d}") + struct.pack("<I", 0) + struct.pack("<I", 9)
    body += b"\0" * (-len(body) % 8) + struct.pack("<9d", *[float(number)] * 9)
    body += struct.pack("<II", 0, 0)
    return b"\0\1\0\0" + body


def delta(stamp_ns: int, number: int, source: int = 1) -> bytes:
    """CDR of an EndEffectorDelta."""
    body = _header(stamp_ns, "base_link")
    body += b"\0" * (-len(body) % 8) + struct.pack("<6d", *[1e-3] * 6)
    body += struct.pack("<iI", 0, 20_000_000) + struct.pack("<IB", number, source)
    return b"\0\1\0\0" + body


def words(text: str) -> bytes:
    """CDR of a String."""
    raw = text.encode() + b"\0"
    return b"\0\1\0\0" + struct.pack("<I", len(raw)) + raw


def _header(stamp_ns: int, frame: str) -> bytes:
    raw = frame.encode() + b"\0"
    return struct.pack("<iII", stamp_ns // NS_PER_S, stamp_ns % NS_PER_S, len(raw)) + raw


MAKERS = {CAMERA: picture, JOINTS: joints, DELTA: delta}


def recorder(root: Path, limits: Limits = ROOMY, **more) -> Recorder:
    """One that hears the robot's topics."""
    made = Recorder(root, {"policy_node": {}}, "abc", limits, **more)
    for topic in topics().values():
        made.add_topic(topic)
    return made


def feed(
    made: Recorder, begin_ns: int, seconds: float, skip=lambda name, number: False
) -> dict[str, int]:
    """All that comes in some seconds, each message 2 ms late; how many of each were heard."""
    due = [
        (begin_ns + number * period_ns, name, number)
        for name, period_ns in PERIODS_NS.items()
        for number in range(int(seconds * NS_PER_S / period_ns))
    ]
    heard = dict.fromkeys(PERIODS_NS, 0)
    for stamp_ns, name, number in sorted(due):
        if not skip(name, number):
            made.hear(name, stamp_ns + 2_000_000, MAKERS[name](stamp_ns, number))
            heard[name] += 1
    return heard
