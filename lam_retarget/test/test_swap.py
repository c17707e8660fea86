"""One running source of latents, and hands that are swapped by a launch argument.

A played human hand, its tracker's node and each hand's launch are processes of their own; this
process is the hand's driver, but for the gripper's, whose action may have to be built first.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from driver_interfaces import gripper_environment
from keypoints_bench import human_space
from nodes_bench import nodes
from process_bench import DOMAIN, PATIENCE_S, launch, process
from rclpy.executors import Executor
from rclpy.node import Node
from std_msgs.msg import Float64MultiArray

from lam_models.hands.spec_file import read_hand
from lam_msgs.msg import LatentAction

pytest.importorskip("lam_bringup")
SOURCE = "from lam_retarget.{0} import main; main()"
GRIPPER = """
import json, rclpy
from control_msgs.action import GripperCommand
from rclpy.action import ActionServer

def execute(goal):
    command = goal.request.command
    print(json.dumps([command.position, command.max_effort]), flush=True)
    goal.succeed()
    return GripperCommand.Result(position=command.position, reached_goal=True)

rclpy.init()
node = rclpy.create_node("franka_gripper")
ActionServer(node, GripperCommand, "/franka_gripper/gripper_action", execute)
rclpy.spin(node)
"""


class Driver:
    """Listens as an Allegro's controller does, and to the source."""

    def __init__(self, executor: Executor, node: Node) -> None:
        self._executor = executor
        self.latents: list[Any] = []
        self.commands: list[Any] = []
        node.create_subscription(LatentAction, "/latent_action", self.latents.append, 10)
        node.create_subscription(
            Float64MultiArray, read_hand("allegro").command.name, self.commands.append, 10
        )

    def until(self, done: Callable[[], Any]) -> None:
        """Handle what comes until `done`, or fail."""
        end_s = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < end_s, "it did not happen in time"
            self._executor.spin_once(timeout_sec=0.02)

    def more(self, heard: list[Any], count: int) -> list[Any]:
        """The next messages of a list."""
        heard.clear()
        self.until(lambda: len(heard) >= count)
        return heard[:]


def hand(name: str, space: Path, log: Path, env: Mapping[str, str] = os.environ) -> Any:
    """The launch of a hand, as a user starts it."""
    words = [f"hand:={name}", f"space:={space}", "state_topic:="]
    return launch("retarget.launch.xml", words, log, env)


@pytest.fixture(scope="module")
def space(tmp_path_factory) -> Path:
    """The folder of the source's space."""
    return human_space(tmp_path_factory.mktemp("one") / "space").path


@pytest.fixture(scope="module")
def driver(space, tmp_path_factory) -> Iterator[Driver]:
    """A driver that hears the running source."""
    logs, ros = tmp_path_factory.mktemp("logs"), ["--ros-args", "-p"]
    player = ["-c", SOURCE.format("hand_player_node"), *ros, "rate_hz:=50.0"]
    tracker = ["-c", SOURCE.format("retarget_keypoints_node"), *ros, f"space:={space}"]
    with (
        process(player, logs / "player"),
        process(tracker, logs / "tracker"),
        nodes(DOMAIN, partial(Node, "driver")) as (executor, (node,)),
    ):
        made = Driver(executor, node)
        made.more(made.latents, 1)
        yield made


def goals(log: Path) -> list[float]:
    """Positions of the goals that the gripper was given."""
    return [json.loads(line)[0] for line in log.read_text().splitlines() if line.startswith("[")]


def test_a_launch_argument_swaps_the_hand(driver, space, tmp_path, request):
    env = gripper_environment(request.config.cache.mkdir("control_msgs"))
    asked = tmp_path / "gripper"
    with process(["-c", GRIPPER], asked, env):
        with hand("panda_gripper", space, tmp_path / "panda", env):
            driver.until(lambda: len(set(goals(asked))) >= 3)
        assert not driver.commands
        spec, before = read_hand("panda_gripper"), goals(asked)
        assert all(spec.lower[0] <= goal <= spec.upper[0] for goal in before)
        with hand("allegro", space, tmp_path / "allegro"):
            commands = np.array([c.data for c in driver.more(driver.commands, 20)])
        assert goals(asked) == before
    spec = read_hand("allegro")
    assert commands.shape[1] == len(spec.command.order) == 16
    assert (commands >= spec.lower - 1e-9).all() and (commands <= spec.upper + 1e-9).all()
    assert np.ptp(commands, axis=0).max() > 0.0


def test_a_foreign_space_is_refused_by_name_and_nothing_is_said(driver, tmp_path):
    other = human_space(tmp_path / "space", name="hand/other", seed=7)
    log = tmp_path / "log"
    with hand("allegro", other.path, log):
        driver.until(lambda: "refused" in log.read_text())
        driver.commands.clear()
        driver.more(driver.latents, 50)
    said = next(line for line in log.read_text().splitlines() if "refused" in line)
    assert "'hand/random'" in said and "'hand/other'" in said and "holding" in said
    assert not driver.commands
