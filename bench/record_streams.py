"""Processes of record.py: a robot that publishes when asked, and the plain way of recording.

robot    reads "SECONDS" lines from stdin, publishes so long, prints how many of each it sent
naive    writes every message where it hears it, with rosbags; ends at SIGTERM
"""

from __future__ import annotations

import array
import json
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

CAMERAS = tuple(f"/{name}/image_raw/compressed" for name in ("front", "side", "wrist"))
JOINTS, COMMANDS = "/joint_states", "/ee_delta"
RATES_HZ = {**dict.fromkeys(CAMERAS, 30.0), JOINTS: 100.0, COMMANDS: 50.0}
NS_PER_S = 1_000_000_000
# Publishers keep as much as a recorder that was held up for seconds may ask for again.
DEPTH = 300
PICTURES = 150


def vga_jpeg(seed: int) -> bytes:
    """A picture with smooth shading and some grain, so that it has a realistic size."""
    import cv2
    import numpy as np

    y, x = np.mgrid[0:480, 0:640]
    shade = 110 + 60 * np.sin(x / 97.0 + seed) + 50 * np.cos(y / 61.0)
    grain = np.random.default_rng(seed).normal(0.0, 4.0, (480, 640, 3))
    pixels = np.clip(shade[..., None] + grain, 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def robot() -> None:
    """Child process. Every message says its number and when it was due, not when it went out."""
    import rclpy
    from rclpy.duration import Duration
    from rclpy.qos import QoSProfile
    from sensor_msgs.msg import CompressedImage, JointState

    from lam_msgs.msg import EndEffectorDelta

    rclpy.init()
    node = rclpy.create_node("robot")
    kinds = {JOINTS: JointState, COMMANDS: EndEffectorDelta}
    publishers = {
        name: node.create_publisher(kinds.get(name, CompressedImage), name, QoSProfile(depth=DEPTH))
        for name in RATES_HZ
    }
    # No picture comes twice in a chunk: a compressor would make use of that.
    pictures = [array.array("B", vga_jpeg(seed)) for seed in range(PICTURES)]
    messages: dict[str, Any] = {name: CompressedImage(format="jpeg") for name in CAMERAS}
    names = [f"joint_{i}" for i in range(9)]
    messages[JOINTS] = JointState(name=names, position=[0.1] * 9, velocity=[0.0] * 9)
    messages[COMMANDS] = EndEffectorDelta(source=EndEffectorDelta.SOURCE_TELEOP)
    sent = dict.fromkeys(RATES_HZ, 0)
    print("ready", flush=True)
    for line in sys.stdin:
        due = {name: time.time_ns() for name in RATES_HZ}
        end_ns = time.time_ns() + round(float(line) * NS_PER_S)
        while min(due.values()) < end_ns:
            name = min(due, key=due.__getitem__)
            time.sleep(max(0, due[name] - time.time_ns()) / NS_PER_S)
            message, stamp_ns = messages[name], due[name]
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, NS_PER_S)
            message.header.frame_id = str(sent[name])
            if name in CAMERAS:
                message.data = pictures[(sent[name] + 37 * CAMERAS.index(name)) % PICTURES]
            if name == COMMANDS:
                message.sequence = sent[name]
            publishers[name].publish(message)
            sent[name] += 1
            due[name] += round(NS_PER_S / RATES_HZ[name])
        for publisher in publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=5))
        print(json.dumps(sent), flush=True)


def naive(folder: str) -> None:
    """Child process: rosbags' writer, called where each message is heard."""
    import rclpy
    from rclpy.qos import QoSProfile
    from rclpy.signals import SignalHandlerOptions
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore
    from sensor_msgs.msg import CompressedImage, JointState

    from lam_msgs.msg import EndEffectorDelta
    from lam_teleop.bags.definitions import definition_of

    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node, store = rclpy.create_node("naive_recorder"), get_typestore(Stores.ROS2_JAZZY)
    kinds = {JOINTS: JointState, COMMANDS: EndEffectorDelta}
    delta = "lam_msgs/msg/EndEffectorDelta"
    store.register(get_types_from_msg(definition_of(delta), delta))
    over = False

    def end(number, frame) -> None:
        nonlocal over
        over = True

    signal.signal(signal.SIGTERM, end)
    with Writer(Path(folder), version=9, storage_plugin=StoragePlugin.MCAP) as writer:

        def hear(connection, data: bytes) -> None:
            writer.write(connection, time.time_ns(), data)

        for name in RATES_HZ:
            kind = kinds.get(name, CompressedImage)
            words = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
            connection = writer.add_connection(name, words, typestore=store)
            node.create_subscription(
                kind, name, partial(hear, connection), QoSProfile(depth=DEPTH), raw=True
            )
        while not over:
            rclpy.spin_once(node, timeout_sec=0.1)


if __name__ == "__main__":
    robot() if sys.argv[1] == "robot" else naive(sys.argv[2])
