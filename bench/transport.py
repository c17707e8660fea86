"""Images through rclpy between two processes, with and without the Fast DDS profile we ship.

For each payload (VGA and 1080p, raw and JPEG) and reliability: latency from just before publish()
to the callback, messages lost, and CPU time a message on each side.
"""

from __future__ import annotations

import array
import json
import os
import sys
import time
from pathlib import Path
from subprocess import PIPE

import matplotlib
import numpy as np
from child_process import Child

from report import ROOT, Benchmark, Goal, Row, figure_of, main

matplotlib.use("Agg")

SIZES = {"VGA": (480, 640), "1080p": (1080, 1920)}
RATE_HZ = 30.0
PROFILE = ROOT / "launch" / "config" / "fastdds.xml"
DOMAIN = 93


def test_image(height: int, width: int) -> np.ndarray:
    """A picture with smooth shading and some grain, so that JPEG has a realistic size."""
    y, x = np.mgrid[0:height, 0:width]
    shade = 110 + 60 * np.sin(x / 97.0) + 50 * np.cos(y / 61.0)
    grain = np.random.default_rng(0).normal(0.0, 4.0, (height, width, 3))
    return np.clip(shade[..., None] + grain, 0, 255).astype(np.uint8)


def quality(reliable: bool):
    from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy

    policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
    return QoSProfile(depth=5, reliability=policy, history=HistoryPolicy.KEEP_LAST)


def publish(size: str, encoding: str, reliable: bool, count: int) -> None:
    """Child process: publish `count` images at RATE_HZ, then print CPU seconds used for it."""
    import cv2
    import rclpy
    from sensor_msgs.msg import CompressedImage, Image

    rclpy.init(domain_id=DOMAIN)
    node = rclpy.create_node("transport_publisher")
    pixels = test_image(*SIZES[size])
    if encoding == "raw":
        message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding="rgb8")
        message.step = pixels.shape[1] * 3
        payload = pixels.tobytes()
    else:
        message = CompressedImage(format="jpeg")
        payload = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    publisher = node.create_publisher(type(message), "image", quality(reliable))
    while publisher.get_subscription_count() == 0:
        time.sleep(0.01)
    time.sleep(0.5)
    cpu, due = time.process_time(), time.monotonic()
    for index in range(count):
        message.header.frame_id = str(index)
        message.data = array.array("B", payload)
        now = time.time_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now, 10**9)
        publisher.publish(message)
        due += 1.0 / RATE_HZ
        time.sleep(max(0.0, due - time.monotonic()))
    cpu = time.process_time() - cpu
    time.sleep(1.0)
    print(json.dumps({"cpu_s": cpu, "bytes": len(payload)}), flush=True)


def subscribe(encoding: str, reliable: bool, count: int) -> None:
    """Child process: receive until the last image or a long silence; print the latencies."""
    import rclpy
    from sensor_msgs.msg import CompressedImage, Image

    rclpy.init(domain_id=DOMAIN)
    node = rclpy.create_node("transport_subscriber")
    latencies_ms: list[float] = []
    last = time.monotonic()
    done = False
    cpu = time.process_time()

    def receive(message: Image | CompressedImage) -> None:
        nonlocal last, done, cpu
        if not latencies_ms:
            cpu = time.process_time()
        stamp = message.header.stamp
        latencies_ms.append((time.time_ns() - stamp.sec * 10**9 - stamp.nanosec) / 1e6)
        last, done = time.monotonic(), int(message.header.frame_id) == count - 1

    node.create_subscription(
        Image if encoding == "raw" else CompressedImage, "image", receive, quality(reliable)
    )
    while not done and time.monotonic() - last < (3.0 if latencies_ms else 20.0):
        rclpy.spin_once(node, timeout_sec=0.2)
    cpu = time.process_time() - cpu
    print(json.dumps({"cpu_s": cpu, "latencies_ms": latencies_ms}), flush=True)


def measure_one(size: str, encoding: str, reliable: bool, profile: bool, count: int) -> Row:
    env = {k: v for k, v in os.environ.items() if "DEFAULT_PROFILES_FILE" not in k}
    if profile:
        env["FASTDDS_DEFAULT_PROFILES_FILE"] = env["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(PROFILE)
    case = [size, encoding, str(int(reliable)), str(count)]
    with (
        Child(__file__, "--child", "subscribe", *case, env=env, stdout=PIPE, stderr=PIPE) as ear,
        Child(__file__, "--child", "publish", *case, env=env, stdout=PIPE, stderr=PIPE) as mouth,
    ):
        children = (ear, mouth)
        outputs = [child.communicate(timeout=120) for child in children]
    if failed := [
        err for child, (_, err) in zip(children, outputs, strict=True) if child.returncode
    ]:
        sys.exit(f"{' '.join(case)} failed:\n{failed[0]}")
    received, sent = (json.loads(out) for out, _ in outputs)
    row: Row = {
        "payload": f"{size} {encoding}",
        "qos": "reliable" if reliable else "best effort",
        "profile": "ours" if profile else "default",
        "kB": round(sent["bytes"] / 1000),
        "lost_percent": 100.0 * (1.0 - len(received["latencies_ms"]) / count),
        "publish_cpu_ms": 1e3 * sent["cpu_s"] / count,
        "receive_cpu_ms": 1e3 * received["cpu_s"] / count,
    }
    if latencies := received["latencies_ms"]:
        row |= {f"p{p}_ms": float(np.percentile(latencies, p)) for p in (50, 95)}
    return row


def measure(quick: bool) -> list[Row]:
    count = 30 if quick else 240
    sizes = ["VGA"] if quick else list(SIZES)
    return [
        measure_one(size, encoding, reliable, profile, count)
        for size in sizes
        for encoding in ("raw", "jpeg")
        for reliable in (True, False)
        for profile in (False, True)
    ]


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 0.42 * len(rows) + 1.6), sharey=True)
    names = [f"{r['payload']}, {r['qos']}, {r['profile']}" for r in rows]
    colours = ["#2a7f62" if r["profile"] == "ours" else "#b9b4a7" for r in rows]
    at = np.arange(len(rows))[::-1]
    left.barh(at, [r.get("p95_ms", 0) for r in rows], color=colours, alpha=0.45)
    left.barh(at, [r.get("p50_ms", 0) for r in rows], color=colours)
    left.set(xscale="log", xlabel="latency [ms]: median (full), p95 (pale)")
    left.set_yticks(at, names, fontsize=8)
    right.barh(at, [r["lost_percent"] for r in rows], color=colours)
    right.set(xlabel="lost [%]", xlim=(0, 100))
    figure.suptitle(
        "Images at 30 Hz through rclpy: Fast DDS as it comes (grey), our profile (green)"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def of(payload: str, qos: str, figure: str):
    """The figure of one row measured with our profile."""
    return figure_of(figure, payload=payload, qos=qos, profile="ours")


GOALS = (
    Goal("VGA raw best effort, lost %", of("VGA raw", "best effort", "lost_percent"), at_most=0.0),
    Goal("VGA raw reliable, p95 ms", of("VGA raw", "reliable", "p95_ms"), at_most=10.0),
    Goal("VGA jpeg best effort, p95 ms", of("VGA jpeg", "best effort", "p95_ms"), at_most=5.0),
)

if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        side, size, encoding, reliable, count = sys.argv[2:]
        if side == "publish":
            publish(size, encoding, bool(int(reliable)), int(count))
        else:
            subscribe(encoding, bool(int(reliable)), int(count))
    else:
        summary = "Images through rclpy, with and without our Fast DDS profile"
        main(Benchmark("transport", summary, measure, draw, GOALS))
