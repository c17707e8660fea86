"""record_node under a robot's load, and killed at random instants.

Three VGA cameras (JPEG) at 30 Hz, joint states at 100 Hz, commands at 50 Hz, for ten minutes:
messages lost by the recorder's own account and by the numbers that the messages carry, CPU cores,
growth of memory. Beside it the plain way, rosbags' writer in the subscription's callback, on the
same streams. Then the recorder is killed (SIGKILL) at random instants of a second episode: the
finished one must open unchanged, the other must be repaired and end at most a second before.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import yaml
from record_streams import CAMERAS, RATES_HZ

from lam_models.data.bags.recording import Recording
from lam_teleop.bags.repair import find_episodes, is_finished, repair
from lam_teleop.bags.sidecar import read_episode
from report import ROOT, Benchmark, Goal, Row, main

matplotlib.use("Agg")

SECONDS, QUICK_SECONDS = 600.0, 6.0
KILLS, QUICK_KILLS, SEED = 20, 1, 0
DOMAIN = "94"
OURS, NAIVE, KILLED = "record_node", "rosbags in the callback", "record_node, killed"
STREAMS = Path(__file__).with_name("record_streams.py")
PROFILE = ROOT / "launch" / "config" / "fastdds.xml"
DEADLINE_S = 60.0


def environment() -> dict[str, str]:
    profiles = dict.fromkeys(
        ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"), str(PROFILE)
    )
    return {**os.environ, **profiles, "ROS_DOMAIN_ID": DOMAIN}


@dataclass
class Usage:
    """CPU seconds and resident memory of a process, once a second."""

    seconds: list[float]
    cpu_s: list[float]
    memory_mb: list[float]

    @property
    def cores(self) -> float:
        return (self.cpu_s[-1] - self.cpu_s[0]) / (self.seconds[-1] - self.seconds[0])

    @property
    def growth_mb_min(self) -> float:
        """Slope over the second half: what is filled once has been filled by then."""
        half = len(self.seconds) // 2
        if len(self.seconds) - half < 2:
            return 0.0
        return 60.0 * float(np.polyfit(self.seconds[half:], self.memory_mb[half:], 1)[0])


class Watch:
    """Looks at a process until told to stop."""

    def __init__(self, pid: int) -> None:
        self.usage = Usage([], [], [])
        self._pid, self._over = pid, threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        while True:
            fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
            self.usage.seconds.append(time.monotonic())
            self.usage.cpu_s.append((int(fields[11]) + int(fields[12])) / ticks)
            self.usage.memory_mb.append(int(fields[21]) * page / 1e6)
            if self._over.wait(1.0):
                return

    def stop(self) -> Usage:
        self._over.set()
        self._thread.join()
        return self.usage


class Robot:
    """The publishing process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(STREAMS), "robot"],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line()

    def begin(self, seconds: float) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()

    def sent(self) -> dict[str, int]:
        """Wait for its end; how many messages of each topic it has sent since it began to live."""
        return json.loads(self._line())

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Caller:
    """Calls the recorder's services and knows whether it hears the robot."""

    def __init__(self) -> None:
        import rclpy

        os.environ |= environment()
        rclpy.init()
        self.node = rclpy.create_node("record_bench")

    def wait(self, done) -> None:
        import rclpy

        end = time.monotonic() + DEADLINE_S
        while not done():
            if time.monotonic() > end:
                sys.exit("the processes do not find each other")
            rclpy.spin_once(self.node, timeout_sec=0.05)

    def hears_all(self, name: str) -> bool:
        heard = [
            any(one.node_name == name for one in self.node.get_subscriptions_info_by_topic(topic))
            for topic in RATES_HZ
        ]
        return all(heard)

    def call(self, kind, name: str, request) -> None:
        client = self.node.create_client(kind, f"/record_node/{name}")
        self.wait(client.service_is_ready)
        future = client.call_async(request)
        self.wait(future.done)
        answer = future.result()
        if answer is None or not answer.success:
            sys.exit(f"~/{name}: {answer and answer.message}")

    def start(self) -> None:
        from lam_msgs.srv import StartEpisode

        self.call(StartEpisode, "start", StartEpisode.Request(instruction="bench"))

    def stop(self) -> None:
        from lam_msgs.srv import StopEpisode

        self.call(StopEpisode, "stop", StopEpisode.Request(outcome=1))


def recorder(folder: Path) -> subprocess.Popen:
    """A process of record_node that knows this robot."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [topic.split("/")[1] for topic in CAMERAS]
    section = {"ros__parameters": {"cameras": names, "camera_topics": list(CAMERAS)}}
    robot = folder / "robot.yaml"
    robot.write_text(yaml.safe_dump({"policy_node": section}))
    values = {"robot": robot, "folder": folder / "recordings", "pre_roll_s": 0.0}
    words = [word for key, value in values.items() for word in ("-p", f"{key}:={value}")]
    node = "from lam_teleop.record_node import main; main()"
    command = [sys.executable, "-c", node, "--ros-args", *words]
    return subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)


def plain(folder: Path) -> subprocess.Popen:
    command = [sys.executable, str(STREAMS), "naive", str(folder / "bag")]
    return subprocess.Popen(command, env=environment())


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
    caller: Caller, robot: Robot, seconds: float, ours: bool, first: dict[str, int]
) -> tuple[Row, dict[str, int]]:
    """One recording under load."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = (recorder if ours else plain)(folder)
        caller.wait(lambda: caller.hears_all("record_node" if ours else "naive_recorder"))
        time.sleep(1.0)
        if ours:
            caller.start()
        watch = Watch(process.pid)
        robot.begin(seconds)
        sent = robot.sent()
        time.sleep(1.0)
        usage = watch.stop()
        if ours:
            caller.stop()
        process.send_signal(signal.SIGTERM)
        process.wait()
        bag = next((folder / "recordings").glob("2*")) if ours else folder / "bag"
        lost = sum(f["lost"] for f in read_episode(bag).topics.values()) if ours else -1
        row: Row = {
            "writer": OURS if ours else NAIVE,
            "seconds": seconds,
            "messages": sum(sent[topic] - first[topic] for topic in RATES_HZ),
            "lost_by_account": lost if ours else "-",
            "lost_by_numbers": lost_by_numbers(bag, first, sent),
            "cores": usage.cores,
            "memory_mb": usage.memory_mb[-1],
            "growth_mb_min": usage.growth_mb_min,
            "bag_mb": sum(f.stat().st_size for f in bag.glob("*.mcap")) / 1e6,
        }
        return row, sent


def kill(caller: Caller, robot: Robot, after_s: float) -> tuple[float, bool]:
    """Seconds lost of an episode by a kill; whether the finished one before is as it was."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = recorder(folder)
        caller.wait(lambda: caller.hears_all("record_node"))
        robot.begin(after_s + 3.0)
        caller.start()
        time.sleep(0.5)
        caller.stop()
        (finished,) = find_episodes(folder / "recordings")
        before = {path.name: path.read_bytes() for path in finished.iterdir()}
        caller.start()
        time.sleep(after_s)
        died_ns = time.time_ns()
        process.kill()
        process.wait()
        robot.sent()
        for episode in find_episodes(folder / "recordings"):
            repair(episode)
        intact = {path.name: path.read_bytes() for path in finished.iterdir()} == before
        episodes = find_episodes(folder / "recordings")
        intact &= len(episodes) == 2 and all(map(is_finished, episodes))
        last_ns = Recording(episodes[-1]).span_ns[1]
        return (died_ns - last_ns) / 1e9, intact


def measure(quick: bool) -> list[Row]:
    caller, robot = Caller(), Robot()
    seconds = QUICK_SECONDS if quick else SECONDS
    rows, sent = [], dict.fromkeys(RATES_HZ, 0)
    for ours in (True, False):
        row, sent = load(caller, robot, seconds, ours, sent)
        rows.append(row)
    draw = random.Random(SEED)
    kills = [
        kill(caller, robot, draw.uniform(0.8, 3.0)) for _ in range(QUICK_KILLS if quick else KILLS)
    ]
    robot.close()
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

    loads = [row for row in rows if row["writer"] in (OURS, NAIVE)]
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


def of(writer: str, figure: str):
    return lambda rows: next(float(row[figure]) for row in rows if row["writer"] == writer)


GOALS = (
    Goal("messages lost by the recorder's account", of(OURS, "lost_by_account"), at_most=0),
    Goal("messages lost by their numbers", of(OURS, "lost_by_numbers"), at_most=0),
    Goal("CPU cores of the recorder", of(OURS, "cores"), at_most=1.0),
    Goal("growth of its memory, MB a minute", of(OURS, "growth_mb_min"), at_most=1.0),
    Goal("most seconds lost by a kill", of(KILLED, "worst_lost_s"), at_most=1.0),
    Goal("episodes spoilt by a kill", of(KILLED, "spoilt_episodes"), at_most=0),
)

if __name__ == "__main__":
    summary = "Recording a robot's streams, and a recorder that is killed"
    main(Benchmark("record", summary, measure, draw, GOALS, (SEED,)))
