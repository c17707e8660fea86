"""Small recordings as the recorder writes them: real message definitions, MCAP, episode.json.

A simulated arm swings to and fro. Its cameras show a checkerboard that shifts with the arm; streams
arrive later than their stamps, and cameras stamp later than they expose, by stated times.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from mcap.well_known import MessageEncoding, SchemaEncoding
from mcap.writer import CompressionType, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

S = 1_000_000_000
MS = 1_000_000
T0 = 1_790_000_000 * S
LAM_MSGS = Path(__file__).resolve().parents[2] / "lam_msgs" / "msg"
COMMAND_HZ = 50.0
FINGERS = ("finger_left", "finger_right")
ROBOT: Mapping[str, Any] = {
    "policy_node": {
        "ros__parameters": {
            "base_frame": "base_link",
            "cameras": ["front", "wrist"],
            "camera_topics": ["/front/image_raw/compressed", "/wrist/image_raw"],
            "camera_max_age_s": 0.15,
            "joint_topic": "/joint_states",
            "ee_pose_topic": "/ee_pose",
            "command_topic": "/ee_delta",
        }
    }
}


@dataclass(frozen=True)
class Sent:
    """A message: topic, type as in "sensor_msgs/msg/Image", when it arrived, and its fields."""

    topic: str
    kind: str
    arrived_ns: int
    message: Any


@dataclass(frozen=True)
class Swing:
    """What a simulated episode is like. Latencies [s] are those the estimate has to find.

    lost: stretches [s] in which a topic is silent, by topic.
    """

    length_s: float = 3.0
    camera_latency_s: float = 0.0
    action_latency_s: float = 0.0
    transport_s: float = 0.004
    camera_hz: float = 30.0
    still_s: float = 0.0
    size: tuple[int, int] = (48, 64)
    lost: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    source: Callable[[float], int] = lambda t: 1
    seed: int = 0


@cache
def types() -> Typestore:
    """ROS 2's messages and ours."""
    store = get_typestore(Stores.ROS2_JAZZY)
    found: dict[str, Any] = {}
    for path in sorted(LAM_MSGS.glob("*.msg")):
        found |= get_types_from_msg(path.read_text(), f"lam_msgs/msg/{path.stem}")
    store.register(found)
    return store


def build(kind: str, **fields: Any) -> Any:
    return types().types[kind](**fields)


def stamped(now_ns: int, frame: str) -> Any:
    stamp = build("builtin_interfaces/msg/Time", sec=now_ns // S, nanosec=now_ns % S)
    return build("std_msgs/msg/Header", stamp=stamp, frame_id=frame)


def point(kind: str, *numbers: float) -> Any:
    names = "xyzw"[: len(numbers)]
    return build(f"geometry_msgs/msg/{kind}", **dict(zip(names, map(float, numbers), strict=True)))


def velocity(swing: Swing, t: float) -> float:
    """Of the commands, in m/s along y; never twice alike, so that a delay can be told."""
    if t < swing.still_s or t > swing.length_s - swing.still_s:
        return 0.0
    return 0.1 * np.sin(5.1 * t) + 0.07 * np.sin(11.3 * t + 1.0) + 0.05 * np.sin(17.9 * t)


@cache
def _ways(swing_key: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    length_s, still_s = swing_key
    times = np.arange(-1.0, length_s + 1.0, 1e-3)
    swing = Swing(length_s=length_s, still_s=still_s)
    # A command goes on, evenly, until the next one.
    speeds = np.array([velocity(swing, np.floor(t * COMMAND_HZ) / COMMAND_HZ) for t in times])
    return times, np.cumsum(speeds) * 1e-3


def place(swing: Swing, t: float) -> float:
    """Where the arm is on y [m]: it does what is commanded, the action latency later."""
    times, ways = _ways((swing.length_s, swing.still_s))
    return float(np.interp(t - swing.action_latency_s, times, ways))


def picture(swing: Swing, t: float) -> UInt8[np.ndarray, "height width 3"]:
    """A pattern that shifts with the arm."""
    height, width = swing.size
    shift = 400.0 * place(swing, t)
    x = np.arange(width)[None, :] + shift
    y = np.arange(height)[:, None]
    shade = 120 + 60 * np.sin(x / 5.0) + 40 * np.sin(y / 7.0 + x / 11.0)
    return np.repeat(shade.astype(np.uint8)[..., None], 3, axis=2)


def _jpeg(pixels: np.ndarray, now_ns: int) -> Any:
    data = cv2.imencode(".jpg", pixels[..., ::-1])[1].ravel()
    return build(
        "sensor_msgs/msg/CompressedImage", header=stamped(now_ns, "front"), format="jpeg", data=data
    )


def _raw(pixels: np.ndarray, now_ns: int) -> Any:
    height, width = pixels.shape[:2]
    return build(
        "sensor_msgs/msg/Image",
        header=stamped(now_ns, "wrist"),
        height=height,
        width=width,
        encoding="bgr8",
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(pixels[..., ::-1]).ravel(),
    )


def _joints(names: tuple[str, ...], positions: Iterable[float], now_ns: int) -> Any:
    return build(
        "sensor_msgs/msg/JointState",
        header=stamped(now_ns, ""),
        name=list(names),
        position=np.array([*positions], np.float64),
        velocity=np.zeros(0),
        effort=np.zeros(0),
    )


def _pose(y: float, now_ns: int, frame: str = "base_link") -> Any:
    half = 0.5 * y
    return build(
        "geometry_msgs/msg/PoseStamped",
        header=stamped(now_ns, frame),
        pose=build(
            "geometry_msgs/msg/Pose",
            position=point("Point", 0.4, y, 0.2),
            orientation=point("Quaternion", np.sin(half), 0.0, 0.0, np.cos(half)),
        ),
    )


def delta(swing: Swing, t: float, duration_s: float, number: int) -> Any:
    speed = velocity(swing, t)
    return build(
        "lam_msgs/msg/EndEffectorDelta",
        header=stamped(T0 + round(t * S), "base_link"),
        translation=point("Vector3", 0.0, speed * duration_s, 0.0),
        rotation=point("Vector3", speed * duration_s, 0.0, 0.0),
        duration=build("builtin_interfaces/msg/Duration", sec=0, nanosec=round(duration_s * S)),
        sequence=number,
        source=swing.source(t),
    )


def finger(t: float) -> float:
    return 0.02 + 0.02 * np.sin(2.0 * t)


def fingers(swing: Swing, t: float) -> tuple[float, float]:
    """At rest in episodes with pauses."""
    return (0.0, 0.0) if swing.still_s else (finger(t), finger(t))


@dataclass(frozen=True)
class Stream:
    """make: the message of an instant [s], which is the stream's i-th and stamped so [ns]."""

    topic: str
    kind: str
    hz: float
    make: Callable[[float, int, int], Any]


def streams(swing: Swing) -> tuple[Stream, ...]:
    def seen(t: float) -> np.ndarray:
        return picture(swing, t - swing.camera_latency_s)

    def joints(t: float, i: int, ns: int) -> Any:
        return _joints(("arm", *FINGERS), (t, *fingers(swing, t)), ns)

    jpeg, raw = "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image"
    state, pose = "sensor_msgs/msg/JointState", "geometry_msgs/msg/PoseStamped"
    command = "lam_msgs/msg/EndEffectorDelta"
    hz, period_s = swing.camera_hz, 1.0 / COMMAND_HZ
    return (
        Stream("/front/image_raw/compressed", jpeg, hz, lambda t, i, ns: _jpeg(seen(t), ns)),
        Stream("/wrist/image_raw", raw, hz, lambda t, i, ns: _raw(seen(t)[:, ::-1], ns)),
        Stream("/joint_states", state, 100.0, joints),
        Stream("/ee_pose", pose, 100.0, lambda t, i, ns: _pose(place(swing, t), ns)),
        Stream("/ee_delta", command, COMMAND_HZ, lambda t, i, ns: delta(swing, t, period_s, i)),
        Stream(
            "/hand/joint_commands",
            state,
            20.0,
            lambda t, i, ns: _joints(FINGERS, fingers(swing, t), ns),
        ),
    )


def messages(swing: Swing) -> list[Sent]:
    """The streams of an episode as they arrive, with jitter."""
    rng = np.random.default_rng(swing.seed)
    out: list[Sent] = []
    for stream in streams(swing):
        silent = swing.lost.get(stream.topic, (0.0, 0.0))
        for i in range(int(swing.length_s * stream.hz)):
            t = i / stream.hz + 0.2 / stream.hz * float(rng.random())
            if silent[0] <= t < silent[1]:
                continue
            delay_s = swing.transport_s * (0.5 + float(rng.random()))
            message = stream.make(t, i, T0 + round(t * S))
            out.append(Sent(stream.topic, stream.kind, T0 + round((t + delay_s) * S), message))
    return sorted(out, key=lambda sent: sent.arrived_ns)


def write_bag(path: Path, sent: Iterable[Sent]) -> None:
    """An MCAP file as the recorder writes it."""
    store = types()
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=1 << 18, compression=CompressionType.ZSTD)
        writer.start(profile="ros2", library="test")
        channels: dict[str, int] = {}
        for one in sent:
            if one.topic not in channels:
                text, _ = store.generate_msgdef(one.kind, ros_version=2)
                schema = writer.register_schema(one.kind, SchemaEncoding.ROS2, text.encode())
                channels[one.topic] = writer.register_channel(
                    one.topic, MessageEncoding.CDR, schema
                )
            data = bytes(store.serialize_cdr(one.message, one.kind))
            writer.add_message(channels[one.topic], one.arrived_ns, data, one.arrived_ns)
        writer.finish()


def record(root: Path, name: str, sent: Iterable[Sent], **about: Any) -> Path:
    """The folder of one recording."""
    folder = root / name
    folder.mkdir(parents=True)
    write_bag(folder / f"{name}_0.mcap", sent)
    content = {
        "format_version": 1,
        "episode_id": name,
        "instruction": "swing to and fro",
        "outcome": "success",
        "robot": ROBOT,
        **about,
    }
    (folder / "episode.json").write_text(json.dumps(content))
    return folder
