"""record_node under a robot's load, and killed at random instants.

Three VGA cameras (JPEG) at 30 Hz, joint states at 100 Hz, commands at 50 Hz, for ten minutes:
messages lost by the recorder's own account and by the numbers that the messages carry, CPU cores,
growth of memory. Beside it the plain way, rosbags' writer in the subscription's callback, on the
same streams. Then the recorder is killed (SIGKILL) at random instants of a second episode: the
finished one must open unchanged, the other must be repaired and end at most a second before.
"""

from __future__ import annotations

import random
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import matplotlib
from process_usage import Watch
from record_processes import Caller, Plain, Recorder, Robot, Writer
from record_streams import RATES_HZ

from lam_models.data.bags.recording import Recording
from lam_teleop.bags.repair import find_episodes, is_finished, repair
from report import Benchmark, Goal, Row, figure_of, main

matplotlib.use("Agg")

SECONDS, QUICK_SECONDS = 600.0, 6.0
KILLS, QUICK_KILLS, SEED = 20, 1, 0
KILLED = "record_node, killed"


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


def kill(caller: Caller, robot: Robot, after_s: float) -> tuple[float, bool]:
    """Seconds lost of an episode by a kill; whether the finished one before is as it was."""
    with tempfile.TemporaryDirectory() as name, Recorder(Path(name), caller) as recorder:
        recorder.ready()
        robot.begin(after_s + 3.0)
        recorder.begin()
        time.sleep(0.5)
        recorder.stop()
        (finished,) = find_episodes(recorder.recordings)
        before = {path.name: path.read_bytes() for path in finished.iterdir()}
        recorder.begin()
        time.sleep(after_s)
        died_ns = time.time_ns()
        recorder.kill()
        recorder.wait()
        robot.sent()
        for episode in find_episodes(recorder.recordings):
            repair(episode)
        intact = {path.name: path.read_bytes() for path in finished.iterdir()} == before
        episodes = find_episodes(recorder.recordings)
        intact &= len(episodes) == 2 and all(map(is_finished, episodes))
        last_ns = Recording(episodes[-1]).span_ns[1]
        return (died_ns - last_ns) / 1e9, intact


def measure(quick: bool) -> list[Row]:
    seconds, count = (QUICK_SECONDS, QUICK_KILLS) if quick else (SECONDS, KILLS)
    caller, draw = Caller(), random.Random(SEED)
    rows, sent = [], dict.fromkeys(RATES_HZ, 0)
    with Robot() as robot:
        robot.ready()
        for way in (Recorder, Plain):
            row, sent = load(way, caller, robot, seconds, sent)
            rows.append(row)
        kills = [kill(caller, robot, draw.uniform(0.8, 3.0)) for _ in range(count)]
    return [
        *rows,
        {
            "writer": KILLED,
            "kills": len(kills),
            "worst_lost_s": max(lost for lost, _ in kills),
            "spoilt_episodes": sum(not intact for _, intact in kills),
        },
    ]


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    loads = [row for row in rows if row["writer"] != KILLED]
    figures = ("lost_by_numbers", "cores", "growth_mb_min")
    figure, axes = plt.subplots(1, len(figures), figsize=(10, 2.6))
    for axis, name in zip(axes, figures, strict=True):
        axis.barh(
            [str(r["writer"]) for r in loads], [float(r[name]) for r in loads], color="#2a7f62"
        )
        axis.set_title(name.replace("_", " "), fontsize=9)
        if axis is not axes[0]:
            axis.set_yticks([])
    figure.suptitle(f"Three VGA cameras, joints and commands for {loads[0]['seconds']:g} s")
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def ours(figure: str, writer: str = Recorder.name):
    return figure_of(figure, writer=writer)


GOALS = (
    Goal("messages lost by the recorder's account", ours("lost_by_account"), at_most=0),
    Goal("messages lost by their numbers", ours("lost_by_numbers"), at_most=0),
    Goal("CPU cores of the recorder", ours("cores"), at_most=1.0),
    Goal("growth of its memory, MB a minute", ours("growth_mb_min"), at_most=1.0),
    Goal("most seconds lost by a kill", ours("worst_lost_s", KILLED), at_most=1.0),
    Goal("episodes spoilt by a kill", ours("spoilt_episodes", KILLED), at_most=0),
)

if __name__ == "__main__":
    summary = "Recording a robot's streams, and a recorder that is killed"
    main(Benchmark("record", summary, measure, draw, GOALS, (SEED,)))
