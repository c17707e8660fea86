"""What policy.launch.xml brings up, and for whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from lam_bringup.description import Parameter
from lam_bringup.launch_xml import read_launch

LAUNCH = Path(__file__).resolve().parents[1]
FILE = LAUNCH / "launch" / "policy.launch.xml"


def started(**given: str):
    """Processes by the name of their node."""
    launch = read_launch(FILE, {"policy": "a/folder", **given}, {}, lambda package: str(LAUNCH))
    return {process.label: process for process in launch.processes}


def values(process) -> dict[str, object]:
    """The parameters given one by one."""
    return {p.name: p.value for p in process.ros.parameters if isinstance(p, Parameter)}


def test_a_policy_comes_with_its_hand_and_is_activated():
    processes = started(hand="four_finger", dry_run="true")
    assert set(processes) == {
        "policy_node",
        "retarget_node",
        "activate_retarget",
        "activate_policy",
    }
    told = values(processes["policy_node"])
    assert told["policy"] == "a/folder" and told["dry_run"] is True
    assert values(processes["retarget_node"])["hand"] == "four_finger"
    assert values(processes["activate_policy"])["nodes"] == ("policy_node",)


@pytest.mark.parametrize("hand", ["parallel_gripper", "five_finger"])
def test_the_simulated_robot_has_the_same_hand(hand):
    processes = started(sim="true", hand=hand, use_sim_time="true")
    assert values(processes["sim_node"])["end_effector"] == hand
    assert all(values(processes[n])["use_sim_time"] for n in ("policy_node", "retarget_node"))
