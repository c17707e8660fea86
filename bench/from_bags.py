"""How fast `lam data from-bags` is: seconds of recording converted in a second.

Recordings have three VGA cameras at 30 Hz as JPEG, joints and poses at 100 Hz and commands at
50 Hz. They become 20 frames a second, once as large as recorded and once 128 pixels square as a
small policy reads them; with one process and with one a core.
"""

from __future__ import annotations

import copy
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from transport import test_image

from report import ROOT, Benchmark, Goal, Row, figure_of, main

sys.path.insert(0, str(ROOT / "models" / "tests"))
from bags import ROBOT, Sent, Swing, build, messages, record, stamped

from lam_models.data.bags.convert import Conversion
from lam_models.stages.from_bags import Plan, convert

matplotlib.use("Agg")

CAMERAS = ("front", "wrist", "side")
CORES = 2
SIZES = {"VGA": None, "128 px": (128, 128)}
JPEG_QUALITY = 85


def robot() -> dict[str, Any]:
    content = copy.deepcopy(dict(ROBOT))
    values = content["policy_node"]["ros__parameters"]
    values["cameras"] = list(CAMERAS)
    values["camera_topics"] = [f"/{name}/image_raw/compressed" for name in CAMERAS]
    return content


def jpegs(count: int) -> list[np.ndarray]:
    """A scene that drifts by a pixel a picture."""
    scene = test_image(480, 640 + count)
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return [
        cv2.imencode(".jpg", np.ascontiguousarray(scene[:, i : i + 640]), quality)[1].ravel()
        for i in range(count)
    ]


def recorded(root: Path, number: int, length_s: float) -> None:
    """One recording: the small swing's streams, with three large cameras in place of its own."""
    light = messages(Swing(length_s=length_s, camera_hz=1.0, size=(16, 16)))
    sent = [one for one in light if "image" not in one.topic]
    start_ns = sent[0].arrived_ns
    shown = jpegs(60)
    for i in range(int(30 * length_s)):
        now_ns = start_ns + i * 33_333_333
        for name in CAMERAS:
            message = build(
                "sensor_msgs/msg/CompressedImage",
                header=stamped(now_ns, name),
                format="jpeg",
                data=shown[i % len(shown)],
            )
            topic, kind = f"/{name}/image_raw/compressed", "sensor_msgs/msg/CompressedImage"
            sent.append(Sent(topic, kind, now_ns + 5_000_000, message))
    sent.sort(key=lambda one: one.arrived_ns)
    record(root, f"episode_{number}", sent, robot=robot())


def measure(quick: bool) -> list[Row]:
    length_s, count = (4.0, 2) if quick else (60.0, 4)
    folder = Path(tempfile.mkdtemp(prefix="from_bags_"))
    rows: list[Row] = []
    try:
        for number in range(count):
            recorded(folder / "recordings", number, length_s)
        size_bytes = sum(file.stat().st_size for file in (folder / "recordings").rglob("*.mcap"))
        for size, pixels in SIZES.items():
            for workers in (1, CORES):
                out = folder / f"{size}_{workers}".replace(" ", "_")
                wanted = Conversion(fps=20, size=pixels)
                started, cpu = time.monotonic(), time.process_time()
                made = convert(Plan(folder / "recordings", out, wanted, workers=workers))
                wall_s = time.monotonic() - started
                rows.append(
                    {
                        "size": size,
                        "processes": workers,
                        "recorded_s": length_s * count,
                        "frames": made.frames,
                        "wall_s": wall_s,
                        "own_cpu_s": time.process_time() - cpu,
                        "times_real_time": length_s * count / wall_s,
                        "MB_a_s": size_bytes / 1e6 / wall_s,
                    }
                )
    finally:
        shutil.rmtree(folder)
    return rows


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 2.6))
    names = [f"{row['size']}, {row['processes']} processes" for row in rows]
    axes.barh(names[::-1], [row["times_real_time"] for row in rows[::-1]], color="#2a7f62")
    axes.axvline(5.0, color="#444444", lw=1, ls="--")
    axes.set(xlabel="times real time (dashed: the goal)")
    axes.set_title("Three VGA cameras to a dataset of 20 frames a second")
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def speed(size: str):
    """With a process a core."""
    return figure_of("times_real_time", size=size, processes=CORES)


GOALS = (
    Goal("3 VGA cameras, kept VGA, times real time", speed("VGA"), at_least=5.0),
    Goal("3 VGA cameras, to 128 px, times real time", speed("128 px"), at_least=5.0),
)

if __name__ == "__main__":
    summary = "Speed of lam data from-bags, three VGA cameras"
    main(Benchmark("from_bags", summary, measure, draw, GOALS))
