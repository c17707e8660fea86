"""The demonstration without a glove: a played hand moves the simulated one."""

from __future__ import annotations

import time

import numpy as np
import pytest
import rclpy
from keypoints_bench import human_space
from process_bench import DOMAIN, PATIENCE_S, launch
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState

from lam_models.hands.spec_file import read_hand

pytest.importorskip("lam_bringup")
pytest.importorskip("lam_sim")


@pytest.mark.parametrize("hand", ["parallel_gripper", "four_finger", "five_finger"])
def test_the_simulated_hand_follows_the_played_one(hand, tmp_path):
    space = human_space(tmp_path / "space")
    context = Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    node, executor = Node("watcher", context=context), SingleThreadedExecutor(context=context)
    executor.add_node(node)
    spec = read_hand(hand)
    lowest, highest = np.full(len(spec.actuated), np.inf), np.full(len(spec.actuated), -np.inf)

    def note(message: JointState) -> None:
        at = dict(zip(message.name, message.position, strict=True))
        q = np.array([at[name] for name in spec.actuated])
        np.minimum(lowest, q, out=lowest)
        np.maximum(highest, q, out=highest)

    node.create_subscription(JointState, "/joint_states", note, 10)

    def travel() -> float:
        """How far the joint that moved most has been, as a share of its range."""
        return float(((highest - lowest) / (spec.upper - spec.lower)).max())

    log = tmp_path / "log"
    with launch("hand_demo.launch.xml", [f"hand:={hand}", f"space:={space.path}"], log):
        end_s = time.monotonic() + PATIENCE_S
        while travel() < 0.05:
            assert time.monotonic() < end_s, log.read_text()
            executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    node.destroy_node()
    context.shutdown()
    assert "times the mean hand" in log.read_text()
