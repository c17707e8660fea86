"""policy_node as a process: commands while all is well; else a zero delta last, then silence."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from policy_bench import MAX_AGE_S, PERIOD_S, SPACE, NodeProcess, Robot, folder, is_zero

from lam_models.policy.instant import sine
from lam_msgs.msg import ActionChunk, PolicyStatus, SafetyVerdict
from lam_policy_node.messages import time_ns

# What a busy machine may add to what the node promises.
GRACE_S = 0.5


@pytest.fixture
def robot() -> Iterator[Robot]:
    robot = Robot()
    yield robot
    robot.close()


def test_commands_carry_the_policys_motion_and_its_latent(robot, tmp_path):
    with NodeProcess(folder(tmp_path / "wave")):
        robot.listen(ActionChunk, "/action_chunk")
        robot.listen(SafetyVerdict, "/safety_verdict")
        assert robot.change("configure", "activate")
        robot.moving()
        robot.spin(0.3)
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
        assert verdict.sequence in numbers or verdict.sequence == numbers[-1] + 1
        robot.until(lambda: robot.status().chunks > 0)
        assert robot.status().state == PolicyStatus.STATE_RUNNING and robot.status().reason == ""


def test_the_lifecycle_in_order(robot, tmp_path):
    with NodeProcess(folder(tmp_path / "wave")) as node:
        assert robot.state() == "unconfigured" and not node.children()
        assert robot.change("configure")
        assert robot.state() == "inactive" and len(node.children()) == 1
        robot.spin(0.5)
        assert not robot.deltas() and robot.status().state == PolicyStatus.STATE_INACTIVE
        assert not robot.node.get_publishers_info_by_topic("/nothing")
        assert robot.change("activate")
        robot.moving()
        event_s = time.monotonic()
        assert robot.change("deactivate")
        robot.silent_after(event_s, PERIOD_S + GRACE_S)
        assert robot.change("activate")
        robot.moving()
        event_s = time.monotonic()
        assert robot.change("shutdown_active")
        robot.silent_after(event_s, PERIOD_S + GRACE_S)
        assert robot.state() == "finalized" and not node.children()


def test_a_camera_that_freezes_and_comes_back(robot, tmp_path):
    with NodeProcess(folder(tmp_path / "wave")):
        assert robot.change("configure", "activate")
        robot.moving()
        robot.sending.remove("front")
        event_s = time.monotonic()
        robot.silent_after(event_s, MAX_AGE_S + PERIOD_S + GRACE_S)
        assert "stream 'front' is" in robot.reason()
        assert robot.status().state == PolicyStatus.STATE_HOLDING
        robot.sending.add("front")
        robot.moving()


@pytest.mark.parametrize("stream", ["pose", "joints"])
def test_proprioception_that_freezes(robot, tmp_path, stream):
    state = {"ee": tuple("abcdef"), "hand": ("thumb",)}
    with NodeProcess(folder(tmp_path / "wave", state=state)):
        assert robot.change("configure", "activate")
        robot.moving()
        robot.sending.remove(stream)
        robot.silent_after(time.monotonic(), MAX_AGE_S + PERIOD_S + GRACE_S)


def test_a_policy_that_dies_and_is_started_again(robot, tmp_path):
    with NodeProcess(folder(tmp_path / "wave")) as node:
        assert robot.change("configure", "activate")
        robot.moving()
        event_s = time.monotonic()
        os.kill(node.children()[0], signal.SIGKILL)
        robot.silent_after(event_s, PERIOD_S + GRACE_S)
        assert "the policy's process ended (exit code -9)" in robot.reason()
        assert robot.status().state == PolicyStatus.STATE_FAULT
        assert robot.change("deactivate", "activate")
        robot.moving()


def test_a_policy_that_freezes(robot, tmp_path):
    with NodeProcess(folder(tmp_path / "wave"), "model_timeout_s:=0.4") as node:
        assert robot.change("configure", "activate")
        robot.moving()
        event_s = time.monotonic()
        os.kill(node.children()[0], signal.SIGSTOP)
        robot.silent_after(event_s, 0.4 + 2 * PERIOD_S + GRACE_S)
        assert "did not answer" in robot.reason()


@pytest.mark.parametrize(
    ("bad", "said"), [(np.nan, "not finite"), (np.inf, "not finite"), (9.0, "wants to move at 180")]
)
def test_a_policy_that_answers_nonsense(robot, tmp_path, bad, said):
    """The motion is sound for half a second, and bad once the bad step comes in sight."""
    motion = sine(0.05, 2.0, 0.05)
    motion[30, 1] = bad
    with NodeProcess(folder(tmp_path / "bad", motion)):
        assert robot.change("configure", "activate")
        robot.until(lambda: robot.status() and robot.status().state == PolicyStatus.STATE_FAULT)
        assert said in robot.reason()
        robot.spin(5 * PERIOD_S)
        count = len(robot.deltas())
        assert not count or is_zero(robot.deltas()[-1])
        assert all(np.isfinite(d.translation.y) and d.translation.y < 1.0 for d in robot.deltas())
        robot.spin(10 * PERIOD_S)
        assert len(robot.deltas()) == count, "a policy that answered nonsense is not asked again"


def test_a_plan_that_runs_out(robot, tmp_path):
    """Four steps of 50 ms, thought about for twice as long: motion, zero, silence, motion."""
    path = folder(tmp_path / "slow", chunk_steps=10, delay_s=0.8, dt_s=0.1)
    with NodeProcess(path):
        assert robot.change("configure", "activate")
        robot.until(lambda: sum(map(is_zero, robot.deltas())) >= 2)
        kinds = [is_zero(delta) for delta in robot.deltas()]
        times_s = [at_s for at_s, _ in robot.heard["/ee_delta"]]
        for index in (i for i, zero in enumerate(kinds[:-1]) if zero):
            assert not kinds[index - 1] and not kinds[index + 1]
            assert times_s[index + 1] - times_s[index] > 2 * PERIOD_S, "silence after the zero"


def test_a_dry_run_judges_and_sends_nothing(robot, tmp_path):
    with NodeProcess(folder(tmp_path / "wave"), "dry_run:=true"):
        robot.listen(SafetyVerdict, "/safety_verdict")
        assert robot.change("configure", "activate")
        robot.until(lambda: len(robot.heard["/safety_verdict"]) > 5)
        assert not robot.deltas() and not robot.heard["/latent_action"]
        robot.until(lambda: robot.status().state == PolicyStatus.STATE_RUNNING)
        assert robot.status().dry_run


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_stop_before_it_ends(robot, tmp_path, number):
    with NodeProcess(folder(tmp_path / "wave")) as node:
        assert robot.change("configure", "activate")
        robot.moving()
        event_s = time.monotonic()
        node.send(number)
        robot.silent_after(event_s, PERIOD_S + GRACE_S)
        code, output = node.finish()
        assert code == 0 and "Traceback" not in output


def test_the_policy_ends_with_a_killed_node(robot, tmp_path):
    with NodeProcess(folder(tmp_path / "wave")) as node:
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
