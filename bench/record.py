"""record_node under a robot's load.

Three VGA cameras (JPEG) at 30 Hz, joint states at 100 Hz, commands at 50 Hz, for ten minutes:
messages lost by the recorder's own account and by the numbers that the messages carry, CPU cores,
growth of memory. Beside it the plain way, rosbags' writer in the subscription's callback, on the
same streams.
"""

from __future__ import annotations

import tempfile
import time
from itertools import pairwise
from pathlib import Path

import matplotlib
from process_usage import Watch
from record_processes import Caller, Plain, Recorder, Robot, Writer
from record_streams import RATES_HZ

from lam_models.data.bags.recording import Recording
from report import Benchmark, Goal, Row, figure_of, main

matplotlib.use("Agg")

SECONDS, QUICK_SECONDS = 600.0, 6.0


def lost_by_numbers(folder: Path, first: dict[str, int], end: dict[str, int]) -> int:
    """Messages between two counts that are not in the bag, or not once, or not in their order."""
    lost = 0
    numbers = {topic: [] for topic in RATES_HZ}
    for raw in Recording(folder).messages(list(RATES_HZ)):
        message = raw.message
        numbers[raw.topic].append(int(message.header.frame_id))
    for topic, found in numbers.items():
        missing = set(range(first[topic], end[topic])) - set(found)
        lost += len(missing)
        lost += sum(later <= sooner for sooner, later in pairwise(found))
    return lost


def load(
    way: type[Writer], caller: Caller, robot: Robot, seconds: float, first: dict[str, int]
) -> tuple[Row, dict[str, int]]:
    """One recording under load; `first` and what is given back count the robot's messages."""
    with tempfile.TemporaryDirectory() as name, way(Path(name), caller) as writer:
        writer.ready()
        time.sleep(1.0)
        writer.begin()
        with Watch(writer.pid) as usage:
            robot.begin(seconds)
            sent = robot.sent()
            time.sleep(1.0)
        bag = writer.end()
        row: Row = {
            "writer": way.name,
            "seconds": seconds,
            "messages": sum(sent[topic] - first[topic] for topic in RATES_HZ),
            "lost_by_account": writer.lost(bag),
            "lost_by_numbers": lost_by_numbers(bag, first, sent),
            "cores": usage.cores,
            "memory_mb": usage.memory_mb[-1],
            "growth_mb_min": usage.growth_mb_min,
            "bag_mb": sum(f.stat().st_size for f in bag.glob("*.mcap")) / 1e6,
        }
        return row, sent


def measure(quick: bool) -> list[Row]:
    seconds = QUICK_SECONDS if quick else SECONDS
    rows, sent = [], dict.fromkeys(RATES_HZ, 0)
    with Caller() as caller, Robot() as robot:
        robot.ready()
        for way in (Recorder, Plain):
            row, sent = load(way, caller, robot, seconds, sent)
            rows.append(row)
            print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    return rows


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    figures = ("lost_by_numbers", "cores", "growth_mb_min")
    figure, axes = plt.subplots(1, len(figures), figsize=(10, 2.6))
    for axis, name in zip(axes, figures, strict=True):
        axis.barh([str(r["writer"]) for r in rows], [float(r[name]) for r in rows], color="#2a7f62")
        axis.set_title(name.replace("_", " "), fontsize=9)
        if axis is not axes[0]:
            axis.set_yticks([])
    figure.suptitle(f"Three VGA cameras, joints and commands for {rows[0]['seconds']:g} s")
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def ours(figure: str):
    return figure_of(figure, writer=Recorder.name)


GOALS = (
    Goal("messages lost by the recorder's account", ours("lost_by_account"), at_most=0),
    Goal("messages lost by their numbers", ours("lost_by_numbers"), at_most=0),
    Goal("CPU cores of the recorder", ours("cores"), at_most=1.0),
    Goal("growth of its memory, MB a minute", ours("growth_mb_min"), at_most=1.0),
)

if __name__ == "__main__":
    main(Benchmark("record", "Recording a robot's streams", measure, draw, GOALS))
