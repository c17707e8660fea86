"""The demonstration without a glove: a played hand moves the simulated one."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest
from keypoints_bench import human_space
from nodes_bench import nodes
from process_bench import DOMAIN, PATIENCE_S, launch
from rclpy.node import Node
from sensor_msgs.msg import JointState

from lam_models.hands.spec_file import read_hand

pytest.importorskip("lam_bringup")
pytest.importorskip("lam_sim")


@pytest.mark.parametrize("hand", ["parallel_gripper", "four_finger", "five_finger"])
def test_the_simulated_hand_follows_the_played_one(hand, tmp_path):
    space = human_space(tmp_path / "space")
    spec = read_hand(hand)
    lowest, highest = np.full(len(spec.actuated), np.inf), np.full(len(spec.actuated), -np.inf)

    def note(message: JointState) -> None:
        at = dict(zip(message.name, message.position, strict=True))
        q = np.array([at[name] for name in spec.actuated])
        np.minimum(lowest, q, out=lowest)
        np.maximum(highest, q, out=highest)

    def travel() -> float:
        """How far the joint that moved most has been, as a share of its range."""
        return float(((highest - lowest) / (spec.upper - spec.lower)).max())

    log = tmp_path / "log"
    with (
        nodes(DOMAIN, partial(Node, "watcher")) as (executor, (node,)),
        launch("hand_demo.launch.xml", [f"hand:={hand}", f"space:={space.path}"], log),
    ):
        node.create_subscription(JointState, "/joint_states", note, 10)
        end_s = time.monotonic() + PATIENCE_S
        while travel() < 0.05:
            assert time.monotonic() < end_s, log.read_text()
            executor.spin_once(timeout_sec=0.1)
    assert "times the mean hand" in log.read_text()
