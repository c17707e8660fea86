"""policy_node's other channels: instructions, the action, twists, raw pictures, diagnostics."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from policy_bench import LATCHED, OTHER_DOMAIN, NodeProcess, Robot, folder, is_zero
from rclpy.action.client import ActionClient
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from std_msgs.msg import String

from lam_models.policy.instant import sine
from lam_msgs.action import RunInstruction
from lam_msgs.msg import EpisodeInfo, PolicyStatus, SafetyVerdict
from lam_msgs.srv import SetInstruction
from lam_policy_node.latency import STAGES
from lam_policy_node.messages import duration_message, time_ns

Result = RunInstruction.Result


@pytest.fixture(scope="module")
def robot(tmp_path_factory) -> Iterator[Robot]:
    """An active node without an instruction, fed by raw pictures."""
    # Seven seconds of wave: twists are compared with it while it rises.
    path = folder(tmp_path_factory.mktemp("talk") / "wave", sine(0.1, 7.0, 0.05))
    parameters = (
        "instruction:=''",
        "camera_topics:=[/front/image_raw]",
        "twist_topic:=/servo/delta_twist_cmds",
        "twist_rate_hz:=60.0",
        "follow_episodes:=true",
        "strategy:=ensemble",
    )
    with NodeProcess(path, *parameters), closing(Robot()) as robot:
        robot.sending = {"raw"}
        robot.listen(TwistStamped, "/servo/delta_twist_cmds")
        robot.listen(DiagnosticArray, "/diagnostics")
        assert robot.change("configure", "activate")
        yield robot


def instruct(robot: Robot, instruction: str) -> SetInstruction.Response:
    client = robot.node.create_client(SetInstruction, "/set_instruction")
    return robot.call(client, SetInstruction.Request(instruction=instruction))


def run(robot: Robot, instruction: str, timeout_s: float = 0.0):
    """A goal's handle, and the list that its feedback goes to."""
    client = ActionClient(robot.node, RunInstruction, "/run_instruction")
    robot.until(client.server_is_ready)
    goal = RunInstruction.Goal(instruction=instruction)
    goal.timeout = duration_message(round(timeout_s * 1e9))
    feedback: list = []
    future = client.send_goal_async(goal, feedback_callback=lambda m: feedback.append(m.feedback))
    robot.until(future.done)
    handle: Any = future.result()
    return handle, feedback


def ended(robot: Robot, handle) -> RunInstruction.Result:
    future = handle.get_result_async()
    robot.until(future.done)
    return future.result().result


def test_without_an_instruction_it_stands_still(robot):
    robot.until(lambda: robot.reason() == "no instruction yet")
    assert robot.status().state == PolicyStatus.STATE_HOLDING and not robot.deltas()


def test_qualities_of_service(robot):
    def offered(topic: str):
        robot.until(lambda: robot.node.get_publishers_info_by_topic(topic))
        profile = robot.node.get_publishers_info_by_topic(topic)[0].qos_profile
        return profile.reliability, profile.durability

    for topic in ("/ee_delta", "/latent_action", "/action_chunk", "/servo/delta_twist_cmds"):
        assert offered(topic) == (ReliabilityPolicy.RELIABLE, DurabilityPolicy.VOLATILE)
    assert offered("/policy_status")[1] == DurabilityPolicy.TRANSIENT_LOCAL
    robot.until(lambda: robot.node.get_subscriptions_info_by_topic("/front/image_raw"))
    wanted = robot.node.get_subscriptions_info_by_topic("/front/image_raw")[0].qos_profile
    assert wanted.reliability == ReliabilityPolicy.BEST_EFFORT


def test_an_action_runs_until_its_time_is_up_then_the_arm_stands(robot):
    handle, feedback = run(robot, "wave", timeout_s=1.2)
    assert handle.accepted
    refused, _ = run(robot, "and jump")
    assert not refused.accepted
    assert "under way" in instruct(robot, "jump").message
    result = ended(robot, handle)
    assert result.outcome == Result.OUTCOME_TIMEOUT and "1.2 s" in result.message
    assert time_ns(result.elapsed) >= 1_200_000_000 and result.commands > 0
    assert feedback and feedback[-1].commands <= result.commands
    robot.until(lambda: is_zero(robot.deltas()[-1]))
    robot.until(lambda: robot.reason() == "no instruction yet")


def test_an_action_is_cancelled(robot):
    handle, _ = run(robot, "wave")
    robot.moving()
    cancelling = handle.cancel_goal_async()
    robot.until(cancelling.done)
    assert ended(robot, handle).outcome == Result.OUTCOME_CANCELLED
    robot.until(lambda: is_zero(robot.deltas()[-1]))


def test_an_action_succeeds_with_its_episode(robot):
    topic = robot.node.create_publisher(EpisodeInfo, "/episode", LATCHED)
    robot.until(lambda: topic.get_subscription_count())
    handle, _ = run(robot, "wave")
    robot.moving()
    assert robot.heard["/latent_action"][-1][1].instruction == "wave"
    topic.publish(EpisodeInfo(episode_id="one", state=EpisodeInfo.STATE_SUCCEEDED))
    assert ended(robot, handle).outcome == Result.OUTCOME_SUCCEEDED
    handle, _ = run(robot, "wave")
    topic.publish(EpisodeInfo(episode_id="two", state=EpisodeInfo.STATE_FAILED))
    assert ended(robot, handle).outcome == Result.OUTCOME_TIMEOUT
    topic.publish(
        EpisodeInfo(episode_id="three", state=EpisodeInfo.STATE_RUNNING, instruction="stack")
    )
    robot.until(lambda: robot.status().instruction == "stack")
    robot.moving()
    assert robot.heard["/latent_action"][-1][1].episode_id == "three"


def test_topic_and_service_set_the_instruction(robot):
    assert not instruct(robot, " ").success
    assert instruct(robot, "reach").success
    robot.until(lambda: robot.status().instruction == "reach")
    topic = robot.node.create_publisher(String, "/instruction", 10)
    robot.until(lambda: topic.get_subscription_count())
    topic.publish(String(data="push"))
    robot.until(lambda: robot.status().instruction == "push")


def test_twists_say_the_same_as_deltas_and_end_with_zeros(robot):
    assert instruct(robot, "wave").success
    robot.moving()
    for topic in ("/ee_delta", "/servo/delta_twist_cmds"):
        robot.heard[topic].clear()
    robot.spin(1.0)
    twists = [message for _, message in robot.heard["/servo/delta_twist_cmds"]]
    assert len(twists) >= 20
    stamps = [time_ns(twist.header.stamp) for twist in twists]
    assert all(later > earlier for earlier, later in itertools.pairwise(stamps))
    assert twists[-1].header.frame_id == "base_link"
    speeds = [d.translation.z / (time_ns(d.duration) / 1e9) for d in robot.deltas()]
    said = [twist.twist.linear.z for twist in twists]
    # Each velocity is one of the commands', or of the one just before them.
    assert sum(min(abs(v - s) for s in speeds) < 1e-9 for v in said) >= len(said) - 5
    robot.sending.clear()
    robot.until(lambda: is_zero(robot.deltas()[-1]))
    robot.spin(0.3)
    last = [m.twist.linear.z for _, m in robot.heard["/servo/delta_twist_cmds"]][-2:]
    count = len(robot.heard["/servo/delta_twist_cmds"])
    assert last == [0.0, 0.0]
    robot.spin(0.3)
    assert len(robot.heard["/servo/delta_twist_cmds"]) == count
    robot.sending.add("raw")


def test_diagnostics_tell_of_every_stage(robot):
    assert instruct(robot, "wave").success
    robot.moving()
    robot.spin(1.0)
    robot.heard["/diagnostics"].clear()
    robot.until(lambda: robot.heard["/diagnostics"])
    (status,) = robot.heard["/diagnostics"][-1][1].status
    values = {item.key: item.value for item in status.values}
    for stage in STAGES:
        assert 0.0 <= float(values[f"{stage}_p50_ms"]) <= float(values[f"{stage}_p95_ms"])
    assert int(values["front_received"]) > 0 and int(values["commands"]) > 0
    assert status.name == "policy_node" and status.message == "running"


def test_a_dry_run_judges_and_sends_nothing(tmp_path):
    with (
        closing(Robot(OTHER_DOMAIN)) as robot,
        NodeProcess(folder(tmp_path / "wave"), "dry_run:=true", domain=OTHER_DOMAIN),
    ):
        robot.listen(SafetyVerdict, "/safety_verdict")
        assert robot.change("configure", "activate")
        robot.until(lambda: len(robot.heard["/safety_verdict"]) > 5)
        assert not robot.deltas() and not robot.heard["/latent_action"]
        robot.until(lambda: robot.status().state == PolicyStatus.STATE_RUNNING)
        assert robot.status().dry_run
