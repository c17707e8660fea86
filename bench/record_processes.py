"""The processes of record.py, from outside: the robot, record_node, and the plain writer.

Both writers are used alike: made, begun once they hear all topics, and ended with the folder of
what was written, or killed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import yaml
from child_process import Child
from record_streams import CAMERAS, RATES_HZ

from lam_teleop.bags.sidecar import read_episode
from report import ROOT

DOMAIN = "94"
STREAMS = Path(__file__).with_name("record_streams.py")
PROFILE = ROOT / "launch" / "config" / "fastdds.xml"
DEADLINE_S = 60.0


def environment() -> dict[str, str]:
    profiles = dict.fromkeys(
        ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"), str(PROFILE)
    )
    return {**os.environ, **profiles, "ROS_DOMAIN_ID": DOMAIN}


class Robot(Child):
    """The publishing process."""

    def __init__(self) -> None:
        super().__init__(str(STREAMS), "robot", env=environment(), stdin=PIPE, stdout=PIPE)

    def ready(self) -> None:
        """Wait until it can begin."""
        self._line()

    def begin(self, seconds: float) -> None:
        assert self.stdin is not None
        self.stdin.write(f"{seconds}\n")
        self.stdin.flush()

    def sent(self) -> dict[str, int]:
        """Wait for its end; how many messages of each topic it has sent since it began to live."""
        return json.loads(self._line())

    def _line(self) -> str:
        assert self.stdout is not None
        return self.stdout.readline()


class Caller:
    """Calls the recorder's services and knows whether it hears the robot.

    One that was killed is not forgotten for some seconds: another recorder needs another caller.
    """

    def __init__(self) -> None:
        import rclpy
        from rclpy.signals import SignalHandlerOptions

        os.environ |= environment()
        # Signals are report.main's.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node("record_bench")

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        import rclpy

        self.node.destroy_node()
        rclpy.shutdown()

    def wait(self, done: Callable[[], bool]) -> None:
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

    def call(self, kind: Any, name: str, request: Any) -> None:
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


class Writer(Child):
    """A recording process. name: for tables. node: by which its subscriptions are known."""

    name: str
    node: str

    def __init__(self, folder: Path, caller: Caller) -> None:
        self.folder, self._caller = folder, caller
        super().__init__(*self._words(), env=environment(), stderr=DEVNULL)

    def ready(self) -> None:
        """Wait until it hears all topics."""
        self._caller.wait(lambda: self._caller.hears_all(self.node))

    def begin(self) -> None:
        """Write what comes from now on."""

    def end(self) -> Path:
        """Write no more, and end; where it was written."""
        self.terminate()
        self.wait()
        return self.folder / "bag"

    def lost(self, bag: Path) -> int | str:
        """Messages lost by its own account."""
        return "-"

    def _words(self) -> list[str]:
        """Of its command, after Python's."""
        raise NotImplementedError


class Plain(Writer):
    """rosbags' writer in the subscription's callback; it writes from its first message on."""

    name = "rosbags in the callback"
    node = "naive_recorder"

    def _words(self) -> list[str]:
        return [str(STREAMS), "naive", str(self.folder / "bag")]


class Recorder(Writer):
    """record_node, with a file of this robot."""

    name = "record_node"
    node = "record_node"

    @property
    def recordings(self) -> Path:
        return self.folder / "recordings"

    def begin(self) -> None:
        self._caller.start()

    def stop(self) -> None:
        """The episode, not the process."""
        self._caller.stop()

    def end(self) -> Path:
        self.stop()
        super().end()
        return next(self.recordings.glob("2*"))

    def lost(self, bag: Path) -> int:
        return sum(facts["lost"] for facts in read_episode(bag).topics.values())

    def _words(self) -> list[str]:
        names = [topic.split("/")[1] for topic in CAMERAS]
        section = {"ros__parameters": {"cameras": names, "camera_topics": list(CAMERAS)}}
        robot = self.folder / "robot.yaml"
        robot.write_text(yaml.safe_dump({"policy_node": section}))
        values = {"robot": robot, "folder": self.recordings, "pre_roll_s": 0.0}
        words = [word for key, value in values.items() for word in ("-p", f"{key}:={value}")]
        return ["-c", "from lam_teleop.record_node import main; main()", "--ros-args", *words]
