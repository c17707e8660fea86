"""sim_node as a process: its topics, what it obeys and refuses, and how it ends.

The simulator publishes /clock here, so rates and durations are those of simulated time: exact on
however slow a machine.
"""

from __future__ import annotations

import itertools
import math
import signal
from collections.abc import Iterator

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy, qos_profile_sensor_data
from ros_bench import LATCHED, OTHER_DOMAIN, Client, NodeProcess
from sensor_msgs.msg import CompressedImage, Image, JointState

from lam_msgs.msg import EpisodeInfo
from lam_sim import messages
from lam_sim.table.panda import JOINT_NAMES

CLOCKED = ("publish_clock:=true", "real_time_factor:=2.0")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A client of a running simulator with small cameras."""
    with NodeProcess("sim_node", [*CLOCKED, "task:=reach", "width:=96", "height:=64"]):
        client = Client()
        client.truth()
        yield client
        client.close()


def steps_ns(stamped: list) -> set[int]:
    """Differences of neighbouring stamps."""
    stamps = [messages.time_ns(message.header.stamp) for message in stamped]
    return {after - before for before, after in itertools.pairwise(stamps)}


def test_states_come_at_their_rates(client):
    client.listen(JointState, "joint_states", 50)
    client.listen(PoseStamped, "ee_pose", 50)
    # A message may be lost on a busy machine, but never be in between.
    assert min(steps_ns(client.hear("joint_states", 30))) == 10_000_000
    assert min(steps_ns(client.hear("ee_pose", 30))) == 10_000_000
    truths = client.hear("truth", 10)
    assert min(steps_ns(truths)) == 50_000_000
    joints = client.hear("joint_states", 1)[0]
    assert tuple(joints.name) == (*JOINT_NAMES, *truths[0].joint_names)
    pose = client.hear("ee_pose", 1)[0]
    assert pose.header.frame_id == "base_link"
    np.testing.assert_allclose(
        messages.pose_matrix(pose.pose), messages.pose_matrix(client.truth().ee_pose), atol=1e-3
    )


def test_cameras_send_the_same_picture_raw_and_as_jpeg(client):
    for camera in ("front", "wrist"):
        raw, jpeg = f"{camera}/image_raw", f"{camera}/image_raw/compressed"
        client.listen(Image, raw, qos_profile_sensor_data)
        client.listen(CompressedImage, jpeg, qos_profile_sensor_data)
        by_stamp: dict[int, list] = {}
        while not any(len(pair) == 2 for pair in by_stamp.values()):
            for message in (*client.hear(raw, 1), *client.heard(jpeg)):
                by_stamp.setdefault(messages.time_ns(message.header.stamp), []).append(message)
        pair = next(pair for pair in by_stamp.values() if len(pair) == 2)
        assert {message.header.frame_id for message in pair} == {f"{camera}_optical"}
        first, second = (messages.pixels_of(message).astype(float) for message in pair)
        assert first.shape == (64, 96, 3)
        assert np.std(first) > 5.0
        assert np.abs(first - second).mean() < 8.0


def test_cameras_expose_on_a_grid_of_30_hz(client):
    topic = "front/image_raw/compressed"
    client.listen(CompressedImage, topic, qos_profile_sensor_data)
    shortest = min(steps_ns(client.hear(topic, 20)))
    assert shortest in (30_000_000, 40_000_000)


def test_qualities_of_service(client):
    def offered(topic: str) -> tuple[ReliabilityPolicy, DurabilityPolicy]:
        client.until(lambda: client.node.get_publishers_info_by_topic(topic))
        profile = client.node.get_publishers_info_by_topic(topic)[0].qos_profile
        return profile.reliability, profile.durability

    for topic in ("/front/image_raw", "/wrist/image_raw/compressed"):
        assert offered(topic) == (ReliabilityPolicy.BEST_EFFORT, DurabilityPolicy.VOLATILE)
    for topic in ("/joint_states", "/ee_pose", "/truth"):
        assert offered(topic) == (ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
    assert offered("/episode")[1] == DurabilityPolicy.TRANSIENT_LOCAL


def test_a_late_listener_hears_of_the_episode(client):
    client.listen(EpisodeInfo, "/episode", LATCHED)
    info = client.hear("/episode", 1)[0]
    assert info.episode_id == client.truth().episode_id
    assert info.instruction


def test_it_moves_as_told_and_silence_stops_it(client):
    assert client.reset(task="reach", seed=1).success
    before = client.truth().ee_pose.position
    client.command(0.03)
    after = client.wait(0.8).ee_pose.position
    assert after.x - before.x == pytest.approx(0.03, abs=0.004)
    assert math.hypot(after.y - before.y, after.z - before.z) < 0.004
    later = client.wait(0.5).ee_pose.position
    assert math.dist((later.x, later.y, later.z), (after.x, after.y, after.z)) < 0.001


def test_the_hand_moves_by_name(client):
    assert client.reset(task="reach", seed=1).success
    name = client.truth().joint_names[0]
    client.command_hand(**{name: 0.02})
    assert client.wait(0.8).joint_positions[0] == pytest.approx(0.02, abs=0.004)


def test_what_makes_no_sense_is_refused_and_reported(client):
    client.listen(DiagnosticArray, "/diagnostics")
    assert client.reset(task="reach", seed=2).success
    before = client.truth()
    refused = refusals(client)
    client.command(0.03, frame="map")
    client.command(float("nan"))
    client.command(5.0)
    client.command_hand(no_such_joint=1.0)
    client.until(lambda: refusals(client) >= refused + 4)
    after = client.wait(0.3)
    assert math.dist(xyz(before), xyz(after)) < 0.001
    assert tuple(after.joint_positions) == pytest.approx(tuple(before.joint_positions), abs=1e-3)


def refusals(client: Client) -> int:
    values = client.hear("/diagnostics", 1)[0].status[0].values
    return int({item.key: item.value for item in values}["refused_commands"])


def xyz(truth) -> tuple[float, float, float]:
    position = truth.ee_pose.position
    return position.x, position.y, position.z


@pytest.mark.parametrize(
    ("request_fields", "said"),
    [
        ({"task": "stak"}, "Did you mean 'stack'?"),
        ({"end_effector": "three_finger"}, "four_finger"),
        ({"distractors": ["backgrund"]}, "background"),
        ({"seed": -1}, "seed is -1"),
        ({"difficulty": 1.5}, "1.5"),
    ],
)
def test_an_impossible_reset_is_refused_and_changes_nothing(client, request_fields, said):
    before = client.truth()
    response = client.reset(**request_fields)
    assert not response.success
    assert said in response.message
    after = client.truth()
    assert (after.episode_id, after.task) == (before.episode_id, before.task)
    assert time_s(after) > time_s(before)


def time_s(truth) -> float:
    return dict(zip(truth.scalar_names, truth.scalars, strict=True))["time_s"]


def test_a_reset_begins_a_new_episode(client):
    before = client.truth()
    response = client.reset(task="pick_place", end_effector="four_finger", seed=3, difficulty=0.2)
    assert response.success
    assert response.episode_id != before.episode_id
    client.until(lambda: client.truth().episode_id == response.episode_id)
    truth = client.truth()
    assert (truth.task, truth.end_effector) == ("pick_place", "four_finger")
    assert len(truth.joint_names) == 16
    assert truth.instruction == response.instruction
    again = client.reset(seed=3, difficulty=0.2)
    assert again.instruction == response.instruction
    assert client.truth().task == "pick_place"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_when_asked(number):
    with NodeProcess("sim_node", ["task:=reach", *CLOCKED], OTHER_DOMAIN) as node:
        client = Client(OTHER_DOMAIN)
        client.truth()
        client.close()
        code, output = node.finish(number)
    assert code == 0
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("task:=stak", "sim_node: unknown task 'stak'. Did you mean 'stack'?"),
        ("real_time_factor:=2.0", "without publish_clock"),
        ("jpeg_cameras:=[fornt]", "Did you mean 'front'?"),
        ("camera_rate_hz:=500.0", "camera_rate_hz"),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_line(parameter, said):
    with NodeProcess("sim_node", [parameter]) as node:
        code, output = node.finish()
    assert code != 0
    assert said in output
    assert "Traceback" not in output
