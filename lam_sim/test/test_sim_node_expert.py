"""expert_node drives sim_node to success over messages alone, and is silent when it should be."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from ros_bench import OTHER_DOMAIN, Client, NodeProcess

from lam_msgs.msg import EndEffectorDelta, EpisodeInfo
from lam_sim import messages


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A client of a running simulator and expert, on simulated time."""
    sim = ["publish_clock:=true", "task:=reach", "seed:=5"]
    with NodeProcess("sim_node", sim), NodeProcess("expert_node", ["use_sim_time:=true"]):
        client = Client()
        client.listen(EndEffectorDelta, "ee_delta", 50)
        client.truth()
        yield client
        client.close()


@pytest.mark.parametrize(
    ("task", "hand"), [("reach", "parallel_gripper"), ("pick_place", "parallel_gripper")]
)
def test_the_expert_succeeds_over_ros(client, task, hand):
    client.heard("episode").clear()
    response = client.reset(task=task, end_effector=hand, seed=11, difficulty=0.3)
    assert response.success
    infos = client.heard("episode")
    client.until(lambda: infos and infos[-1].state != EpisodeInfo.STATE_RUNNING)
    assert infos[-1].episode_id == response.episode_id
    assert infos[-1].state == EpisodeInfo.STATE_SUCCEEDED
    assert messages.time_ns(infos[-1].elapsed) > 0


def test_its_commands_are_those_of_an_operator(client):
    response = client.reset(task="pick_place", end_effector="parallel_gripper", seed=12)
    assert response.success
    commands = [messages.delta_command(message) for message in client.hear("ee_delta", 10)]
    assert {command.source for command in commands} == {"expert"}
    assert {command.frame for command in commands} == {"base_link"}
    assert {command.duration_s for command in commands} == {0.05}
    numbers = [command.sequence for command in commands]
    assert numbers == sorted(set(numbers))
    # The clock is the simulator's: two truths heard at once are answered at one and the same time.
    stamps = [command.stamp_ns for command in commands]
    assert stamps == sorted(stamps)
    assert stamps[0] < stamps[-1]


def test_it_is_silent_after_success(client):
    response = client.reset(task="reach", end_effector="parallel_gripper", seed=13)
    client.until(lambda: client.truth().success)
    assert client.truth().episode_id == response.episode_id
    client.wait(0.3)
    client.heard("ee_delta").clear()
    client.wait(0.5)
    assert client.heard("ee_delta") == []


def test_it_ends_cleanly_when_asked():
    with NodeProcess("expert_node", domain=OTHER_DOMAIN) as node:
        client = Client(OTHER_DOMAIN)
        client.until(lambda: "expert_node" in client.node.get_node_names())
        client.close()
        code, output = node.finish(signal.SIGINT)
    assert code == 0
    assert "Traceback" not in output
