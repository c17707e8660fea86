"""record_node over real DDS: what is published between start and stop lies in the bag."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import rclpy
import yaml
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import String
from std_srvs.srv import Trigger

from lam_models.data.bags.recording import Recording
from lam_msgs.msg import EpisodeInfo
from lam_msgs.srv import StartEpisode, StopEpisode
from lam_teleop.record_node import LATCHED, RecordNode

DEADLINE_S = 30.0
CAMERA, JOINTS = "/front/image_raw/compressed", "/joint_states"
ROBOT = {
    "policy_node": {
        "ros__parameters": {"cameras": ["front"], "camera_topics": [CAMERA]},
    }
}


class Bench:
    """A recorder and a robot that it hears, in one process."""

    def __init__(self, folder: Path, **parameters) -> None:
        robot = folder / "robot.yaml"
        robot.write_text(yaml.safe_dump(ROBOT))
        values = {
            "folder": str(folder / "recordings"),
            "robot": str(robot),
            "min_free_mb": 0.0,
            "raw_after_s": 0.0,
            **parameters,
        }
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        self.recorder = RecordNode(parameter_overrides=overrides)
        self.robot = rclpy.create_node("robot")
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.recorder)
        self.executor.add_node(self.robot)

    def until(self, done, beat=lambda: None):
        """Turn until something is true; `beat` is done at every turn."""
        end = time.monotonic() + DEADLINE_S
        while not (found := done()):
            assert time.monotonic() < end, "deadline passed"
            beat()
            self.executor.spin_once(timeout_sec=0.01)
        return found

    def call(self, kind, name: str, request) -> Any:
        client = self.robot.create_client(kind, f"/record_node/{name}")
        self.until(client.service_is_ready)
        future = client.call_async(request)
        self.until(future.done)
        return future.result()

    def hearing(self, publisher) -> None:
        """Wait until the recorder hears a publisher."""
        self.until(lambda: publisher.get_subscription_count() > 0)

    def start(self, **fields) -> StartEpisode.Response:
        return self.call(StartEpisode, "start", StartEpisode.Request(**fields))

    def stop(self, **fields) -> StopEpisode.Response:
        return self.call(StopEpisode, "stop", StopEpisode.Request(**fields))


@contextmanager
def bench(folder: Path, **parameters):
    rclpy.init()
    try:
        made = Bench(folder, **parameters)
        yield made
        made.executor.shutdown()
        made.recorder.destroy_node()
        made.robot.destroy_node()
    finally:
        rclpy.shutdown()


def stamped(node, kind, **fields):
    message = kind(**fields)
    message.header.stamp = node.get_clock().now().to_msg()
    return message


def test_what_is_published_between_start_and_stop_lies_in_the_bag(tmp_path):
    with bench(tmp_path, pre_roll_s=0.0) as b:
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        words = b.robot.create_publisher(String, "/instruction", latched)
        words.publish(String(data="put it in the box"))
        cameras = b.robot.create_publisher(CompressedImage, CAMERA, qos_profile_sensor_data)
        joints = b.robot.create_publisher(JointState, JOINTS, 10)
        for publisher in (words, cameras, joints):
            b.hearing(publisher)
        started = b.start(operator_name="ada", note="first")
        assert started.success and "/ee_pose" in started.message
        assert not b.start().success

        sent = 0

        def send():
            nonlocal sent
            if sent < 20:
                cameras.publish(stamped(b.robot, CompressedImage, data=bytes([sent] * 2000)))
                joints.publish(stamped(b.robot, JointState, name=["a"], position=[float(sent)]))
                sent += 1

        # A latched text comes whenever its reader has asked for it.
        b.until(lambda: sent == 20 and tallies_of(b) == [20, 20, 1], send)
        note = b.call(
            StopEpisode, "annotate", StopEpisode.Request(outcome=1, note="touched the rim")
        )
        assert note.success and note.episode_id == started.episode_id
        stopped = b.stop(note="well done")
        assert stopped.success, stopped.message
        assert stopped.elapsed.sec or stopped.elapsed.nanosec

    folder = Path(stopped.message)
    content = json.loads((folder / "episode.json").read_text())
    assert content["outcome"] == "success" and content["operator_name"] == "ada"
    assert content["note"] == "first; well done" and content["robot"] == ROBOT
    assert [one["text"] for one in content["annotations"]] == ["touched the rim"]
    assert all(f["written"] == f["received"] for f in content["topics"].values())
    recording = Recording(folder)
    positions = [raw.message.position[0] for raw in recording.messages([JOINTS])]
    assert positions == [float(i) for i in range(20)]
    pictures = [raw.message.data[0] for raw in recording.messages([CAMERA])]
    assert pictures == list(range(20))
    with Reader(folder) as reader:
        assert reader.message_count == 41
        assert {c.topic for c in reader.connections} == {CAMERA, JOINTS, "/instruction"}


def tallies_of(b: Bench) -> list[int]:
    return [tally_of(b, topic) for topic in (CAMERA, JOINTS, "/instruction")]


def tally_of(b: Bench, topic: str) -> int:
    tally = b.recorder._recorder._tallies.get(topic)
    return tally.received if tally else 0


def test_a_discarded_episode_leaves_nothing_and_the_next_one_can_begin(tmp_path):
    with bench(tmp_path) as b:
        joints = b.robot.create_publisher(JointState, JOINTS, 10)
        b.hearing(joints)
        assert not b.call(Trigger, "discard", Trigger.Request()).success
        first = b.start(instruction="a")
        b.until(
            lambda: tally_of(b, JOINTS) > 3, lambda: joints.publish(stamped(b.robot, JointState))
        )
        assert b.call(Trigger, "discard", Trigger.Request()).success
        assert list((tmp_path / "recordings").iterdir()) == []
        second = b.start(instruction="b")
        assert second.success and second.episode_id >= first.episode_id
        assert b.stop(outcome=StopEpisode.Request.OUTCOME_DISCARD).success
        assert list((tmp_path / "recordings").iterdir()) == []


@pytest.mark.parametrize("compressed", [True, False])
def test_compressed_pictures_are_preferred_where_they_are_published(tmp_path, compressed):
    with bench(tmp_path) as b:
        raw = b.robot.create_publisher(Image, "/front/image_raw", 5)
        packed = b.robot.create_publisher(CompressedImage, CAMERA, 5) if compressed else None
        b.hearing(packed or raw)
        assert raw.get_subscription_count() == int(not compressed)


def test_episodes_that_a_simulator_announces_are_recorded(tmp_path):
    with bench(tmp_path, follow_episodes=True) as b:
        joints = b.robot.create_publisher(JointState, JOINTS, 10)
        news = b.robot.create_publisher(EpisodeInfo, "/episode", LATCHED)
        b.hearing(joints)
        b.until(lambda: news.get_subscription_count() == 2)
        states = EpisodeInfo
        for name, end in (("one", states.STATE_SUCCEEDED), ("two", states.STATE_FAILED)):
            about = {"episode_id": name, "instruction": f"do {name}"}
            news.publish(EpisodeInfo(state=states.STATE_RUNNING, **about))
            b.until(lambda: b.recorder._recorder.episode is not None)
            b.until(
                lambda: tally_of(b, JOINTS) > 3,
                lambda: joints.publish(stamped(b.robot, JointState)),
            )
            news.publish(EpisodeInfo(state=end, **about))
            b.until(lambda: b.recorder._recorder.episode is None)
    found = [Recording(p).about for p in sorted((tmp_path / "recordings").iterdir())]
    assert [(a.instruction, a.outcome) for a in found] == [
        ("do one", "success"),
        ("do two", "failure"),
    ]
