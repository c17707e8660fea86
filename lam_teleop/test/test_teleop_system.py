"""`lam launch teleop.launch.xml`: each input drives the simulated robot, and it is said who."""

from __future__ import annotations

import contextlib
import itertools
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from geometry_msgs.msg import PoseStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from teleop_bench import DOMAIN, PATIENCE_S, Bench, bench

from lam_models.checkpoint import CameraSpec
from lam_models.hands.space import open_space
from lam_models.policy.instant import Config, sine, write_instant
from lam_msgs.msg import EndEffectorDelta, EpisodeInfo
from lam_teleop.command_messages import SOURCES

pytest.importorskip("lam_bringup")
pytest.importorskip("lam_sim")
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@contextmanager
def launched(terminal: int, log: Path, *words: str) -> Iterator[None]:
    """`lam launch teleop.launch.xml` in a terminal of its own, ended by SIGINT."""
    command = [sys.executable, "-m", "lam_bringup.cli", "launch", "teleop.launch.xml", *words]
    env = {**os.environ, "ROS_DOMAIN_ID": str(DOMAIN), "ROS_LOG_DIR": str(log.parent / "ros")}
    with log.open("w") as out:
        started = subprocess.Popen(command, env=env, stdin=terminal, stdout=out, stderr=out)
    try:
        yield
        assert started.poll() is None, log.read_text()
    finally:
        started.send_signal(signal.SIGINT)
        try:
            started.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """Our end of a pseudo-terminal, and a program's; what is shown there is read and dropped."""
    ours, theirs = pty.openpty()

    def read() -> None:
        with contextlib.suppress(OSError):
            while os.read(ours, 1024):
                pass

    threading.Thread(target=read, daemon=True).start()
    yield ours, theirs
    os.close(theirs)
    os.close(ours)


@pytest.fixture
def robot() -> Iterator[Bench]:
    """A client of the robot."""
    with bench() as b:
        yield b


def test_the_expert_teleoperates_to_success(robot, ends, tmp_path):
    # Longer than it takes until whoever publishes commands has found who listens.
    words = ("input:=expert", "task:=pick_place", "seed:=3", "use_sim_time:=true")
    with launched(ends[1], tmp_path / "log", *words):
        owners = robot.listen(String, "/command_source", LATCHED)
        arm = robot.listen(EndEffectorDelta, "/ee_delta")
        infos = robot.listen(EpisodeInfo, "/episode", LATCHED)
        robot.until(lambda: infos and infos[-1].state == EpisodeInfo.STATE_SUCCEEDED)
    assert arm and {message.source for message in arm} == {EndEffectorDelta.SOURCE_TELEOP}
    assert "teleop" in {message.data for message in owners}


def test_keys_move_the_arm_and_close_the_hand(robot, ends, tmp_path):
    with launched(ends[1], tmp_path / "log", "input:=keyboard", "use_sim_time:=true"):
        poses = robot.listen(PoseStamped, "/ee_pose")
        joints = robot.listen(JointState, "/joint_states")
        robot.listen(EndEffectorDelta, "/teleop/ee_delta")
        robot.until(lambda: poses and joints)
        lift_m, width_m = poses[0].pose.position.z, joints[0].position[-1]

        def hold(key: bytes) -> None:
            os.write(ends[0], key)
            robot.spin(0.03)

        robot.until(lambda: poses[-1].pose.position.z > lift_m + 0.01, lambda: hold(b"r"))
        robot.until(lambda: joints[-1].position[-1] < 0.5 * width_m, lambda: hold(b"c"))


def test_a_key_takes_the_robot_from_a_policy_that_gets_it_back(robot, ends, tmp_path):
    config = Config(chunk_steps=10, dt_s=0.05)
    cameras, motion = (CameraSpec("front", 24, 32),), sine(0.02, 2.0, config.dt_s)
    space = open_space().latent
    policy = write_instant(tmp_path / "policy", space, cameras, config=config, motion=motion)
    words = ("input:=keyboard", f"policy:={policy}", "instruction:=wave", "use_sim_time:=true")
    with launched(ends[1], tmp_path / "log", *words):
        arm = robot.listen(EndEffectorDelta, "/ee_delta", 50)
        robot.listen(EndEffectorDelta, "/teleop/ee_delta")

        def said(name: str) -> bool:
            return bool(arm) and arm[-1].source == SOURCES[name]

        robot.until(lambda: said("policy"))
        robot.until(lambda: said("teleop"), lambda: os.write(ends[0], b"r"))
        robot.until(lambda: said("policy"))
    # One change each way: nobody interfered meanwhile.
    sources = [message.source for message in arm]
    changes = [now for before, now in itertools.pairwise(sources) if now != before]
    assert changes == [SOURCES["teleop"], SOURCES["policy"]]
