"""policy_node as a process: commands while all is well; else a zero delta last, then silence.

One node serves all tests but those that end it; each brings its own policy, swapped in.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from policy_bench import (
    MAX_AGE_S,
    OTHER_DOMAIN,
    PERIOD_S,
    SPACE,
    NodeProcess,
    Robot,
    folder,
    is_zero,
)

from lam_models.policy.instant import sine
from lam_msgs.msg import ActionChunk, PolicyStatus, SafetyVerdict
from lam_policy_node.messages import time_ns

# What a busy machine may add to what the node promises.
GRACE_S = 0.5
MODEL_TIMEOUT_S = 1.5


@pytest.fixture(scope="module")
def node(tmp_path_factory) -> Iterator[NodeProcess]:
    path = folder(tmp_path_factory.mktemp("first") / "wave")
    timeouts = (f"model_timeout_s:={MODEL_TIMEOUT_S}", "watchdog_s:=2.0")
    with NodeProcess(path, *timeouts) as node:
        yield node


@pytest.fixture(scope="module")
def robot(node) -> Iterator[Robot]:
    with closing(Robot()) as robot:
        robot.listen(ActionChunk, "/action_chunk")
        robot.listen(SafetyVerdict, "/safety_verdict")
        yield robot


def test_the_lifecycle_in_order(robot, node):
    assert robot.state() == "unconfigured" and not node.children()
    assert robot.change("configure")
    assert robot.state() == "inactive" and len(node.children()) == 1
    robot.until(lambda: robot.status() is not None)
    assert not robot.deltas() and robot.status().state == PolicyStatus.STATE_INACTIVE
    assert robot.change("activate")
    robot.moving()
    event_s = time.monotonic()
    assert robot.change("deactivate")
    robot.silent_after(event_s, PERIOD_S + GRACE_S)
    assert robot.change("cleanup")
    assert robot.state() == "unconfigured" and not node.children()


def test_commands_carry_the_policys_motion_and_its_latent(robot, tmp_path):
    robot.swap(folder(tmp_path / "wave"))
    robot.moving()
    running = PolicyStatus.STATE_RUNNING
    robot.until(lambda: robot.status() is not None and robot.status().state == running)
    delta, latent = robot.deltas()[-1], robot.heard["/latent_action"][-1][1]
    assert delta.header.frame_id == "base_link" and not is_zero(delta)
    assert time_ns(delta.duration) == round(PERIOD_S * 1e9)
    fastest_m = np.abs(sine(0.05, 2.0, 0.05)).max()
    assert all(abs(d.translation.z) <= 1.01 * fastest_m for d in robot.deltas())
    numbers = [d.sequence for d in robot.deltas()]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert (latent.space_hash, latent.horizon, latent.dim) == (SPACE.space_hash, 1, 4)
    assert list(latent.values) == [1.0, 0.0, 0.0, 0.0] and latent.instruction == "wave"
    chunk = robot.heard["/action_chunk"][-1][1]
    assert chunk.horizon == 10 == chunk.hand.horizon and len(chunk.delta_ee) == 60
    assert time_ns(chunk.start) >= time_ns(chunk.header.stamp)
    verdict = robot.heard["/safety_verdict"][-1][1]
    assert numbers[0] <= verdict.sequence <= numbers[-1] + 1
    assert robot.status().reason == "" and robot.status().policy == "wave"


@pytest.mark.parametrize("stream", ["front", "pose", "joints"])
def test_a_stream_that_freezes_and_comes_back(robot, tmp_path, stream):
    state = {"ee": tuple("abcdef"), "hand": ("thumb",)}
    robot.swap(folder(tmp_path / "wave", state=state))
    robot.moving()
    robot.sending.remove(stream)
    robot.silent_after(time.monotonic(), MAX_AGE_S + PERIOD_S + GRACE_S)
    name = {"pose": "ee_pose"}.get(stream, stream)
    assert f"stream '{name}' is" in robot.reason()
    assert robot.status().state == PolicyStatus.STATE_HOLDING
    robot.sending.add(stream)
    robot.moving()


def test_a_policy_that_dies_and_is_started_again(robot, node, tmp_path):
    robot.swap(folder(tmp_path / "wave"))
    robot.moving()
    event_s = time.monotonic()
    os.kill(node.children()[0], signal.SIGKILL)
    robot.silent_after(event_s, PERIOD_S + GRACE_S)
    assert "the policy's process ended (exit code -9)" in robot.reason()
    assert robot.status().state == PolicyStatus.STATE_FAULT
    assert robot.change("deactivate", "activate")
    robot.moving()


def test_a_policy_that_freezes(robot, node, tmp_path):
    robot.swap(folder(tmp_path / "wave"))
    robot.moving()
    event_s = time.monotonic()
    os.kill(node.children()[0], signal.SIGSTOP)
    robot.silent_after(event_s, MODEL_TIMEOUT_S + PERIOD_S + GRACE_S)
    robot.until(lambda: "did not answer" in robot.reason())


@pytest.mark.parametrize(
    ("bad", "said"), [(np.nan, "not finite"), (np.inf, "not finite"), (9.0, "wants to move at 180")]
)
def test_a_policy_that_answers_nonsense(robot, tmp_path, bad, said):
    """The motion is sound until the one bad step of two seconds comes in sight."""
    motion = sine(0.05, 2.0, 0.05)
    motion[30, 1] = bad
    robot.swap(folder(tmp_path / "bad", motion))
    robot.until(lambda: robot.status() and robot.status().state == PolicyStatus.STATE_FAULT)
    assert said in robot.reason()
    robot.spin(2 * PERIOD_S)
    count = len(robot.deltas())
    assert not count or is_zero(robot.deltas()[-1])
    assert all(np.isfinite(d.translation.y) and d.translation.y < 1.0 for d in robot.deltas())
    robot.spin(10 * PERIOD_S)
    assert len(robot.deltas()) == count, "a policy that answered nonsense is not asked again"


def test_a_plan_that_runs_out(robot, tmp_path):
    """Half a second of plan, thought about for 0.4 s: motion, zero, silence, motion."""
    robot.swap(folder(tmp_path / "slow", chunk_steps=10, delay_s=0.4))
    robot.until(lambda: sum(map(is_zero, robot.deltas())) >= 3)
    kinds = [is_zero(delta) for delta in robot.deltas()]
    times_s = [at_s for at_s, _ in robot.heard["/ee_delta"]]
    for index in (i for i, zero in enumerate(kinds[:-1]) if zero):
        assert not kinds[index - 1] and not kinds[index + 1]
        assert times_s[index + 1] - times_s[index] > 2 * PERIOD_S, "silence after the zero"


def test_one_call_exchanges_the_policy_of_a_robot_that_moves(robot, tmp_path):
    robot.swap(folder(tmp_path / "one"))
    robot.moving()
    assert "no model folder at /nowhere" in robot.set("policy", "/nowhere")
    robot.moving()
    assert robot.status().policy == "one"
    before = len(robot.deltas())
    assert robot.set("policy", folder(tmp_path / "two")) == ""
    robot.moving()
    robot.until(lambda: robot.status().policy == "two")
    assert robot.state() == "active"
    later = robot.deltas()[before:]
    assert any(map(is_zero, later[:-1])), "it stands while a policy is loaded"


def test_a_refused_policy_mends_no_fault(robot, tmp_path):
    robot.swap(folder(tmp_path / "bad", np.full((10, 6), np.nan)))
    robot.until(lambda: robot.status() and robot.status().state == PolicyStatus.STATE_FAULT)
    assert robot.set("policy", "/nowhere")
    count = len(robot.deltas())
    robot.until(lambda: robot.status().state == PolicyStatus.STATE_FAULT)
    assert not [delta for delta in robot.deltas()[count:] if not is_zero(delta)]
    assert robot.set("policy", folder(tmp_path / "good")) == ""
    robot.moving()


def test_a_policy_that_needs_another_camera_is_refused(robot, tmp_path):
    robot.swap(folder(tmp_path / "one"))
    assert robot.change("deactivate")
    refused = robot.set("policy", folder(tmp_path / "two", cameras=["side"]))
    assert "side" in refused and "Known: front" in refused


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("executor", ["events", "single"])
def test_it_says_stop_before_it_ends(tmp_path, number, executor):
    with (
        closing(Robot(OTHER_DOMAIN)) as robot,
        NodeProcess(
            folder(tmp_path / "wave"), f"executor:={executor}", domain=OTHER_DOMAIN
        ) as node,
    ):
        assert robot.change("configure", "activate")
        robot.moving()
        event_s = time.monotonic()
        node.send(number)
        robot.silent_after(event_s, PERIOD_S + GRACE_S)
        code, output = node.finish()
        assert code == 0 and "Traceback" not in output


def test_the_policy_ends_with_a_killed_node(tmp_path):
    with (
        closing(Robot(OTHER_DOMAIN)) as robot,
        NodeProcess(folder(tmp_path / "wave"), domain=OTHER_DOMAIN) as node,
    ):
        assert robot.change("configure")
        (child,) = node.children()
        node.finish(signal.SIGKILL)
        robot.until(lambda: not alive(child))


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_active_node_is_shut_down_by_its_lifecycle(tmp_path):
    with (
        closing(Robot(OTHER_DOMAIN)) as robot,
        NodeProcess(folder(tmp_path / "wave"), domain=OTHER_DOMAIN) as node,
    ):
        assert robot.change("configure", "activate")
        robot.moving()
        event_s = time.monotonic()
        assert robot.change("shutdown_active")
        robot.silent_after(event_s, PERIOD_S + GRACE_S)
        assert robot.state() == "finalized" and not node.children()


@pytest.mark.parametrize(
    ("parameter", "said"),
    [
        ("strategy:=lattest", "Did you mean 'latest'"),
        ("camera_topics:=[a, b]", "each camera has one topic"),
        ("workspace_lower_m:=[0.0, 1.0]", "(2, 0) entries"),
        ("twist_rate_hz:=10.0", "twist_rate_hz"),
    ],
)
def test_a_wrong_parameter_is_refused_in_one_line(parameter, said):
    with NodeProcess("", parameter) as node:
        code, output = node.finish()
    assert code != 0 and said in output and "Traceback" not in output
