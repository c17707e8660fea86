"""What teleop.launch.xml brings up for each input, with and without a policy."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lam_bringup.description import Parameter
from lam_bringup.launch_xml import read_launch
from lam_models.settings import from_mapping

LAUNCH = Path(__file__).resolve().parents[1]
FILE = LAUNCH / "launch" / "teleop.launch.xml"
INPUTS = {
    "keyboard": {"keyboard_node"},
    "joy": {"joy_node"},
    "hand": {"retarget_keypoints_node"},
    "expert": {"expert_node"},
    "none": set(),
}
ALWAYS = {"sim_node", "arbiter_node", "retarget_node", "activate_retarget"}
POLICY = {"policy_node", "activate_policy"}


def started(**given: str):
    """Processes by the name of their node."""
    launch = read_launch(FILE, given, {}, lambda package: str(LAUNCH))
    assert len({process.label for process in launch.processes}) == len(launch.processes)
    return {process.label: process for process in launch.processes}


def values(process) -> dict[str, object]:
    """The parameters given one by one."""
    return {p.name: p.value for p in process.ros.parameters if isinstance(p, Parameter)}


@pytest.mark.parametrize("given", INPUTS)
def test_each_input_comes_alone_or_beside_a_policy(given):
    assert set(started(input=given)) == ALWAYS | INPUTS[given]
    assert set(started(input=given, policy="a/folder")) == ALWAYS | INPUTS[given] | POLICY


def test_the_expert_commands_as_a_person_and_past_nobody():
    process = started(input="expert")["expert_node"]
    assert values(process)["source"] == "teleop"
    remaps = dict(process.ros.remaps)
    assert remaps == {
        "ee_delta": "/teleop/ee_delta",
        "hand/joint_commands": "/teleop/hand_joints",
    }


def test_a_recorder_comes_where_there_is_a_folder_for_it():
    given = {"record": "some/folder", "motion_noise": "0.01", "reaction": "0.2"}
    found = started(input="expert", hand="four_finger", **given)
    assert set(found) == ALWAYS | {"expert_node", "record_node"}
    told = values(found["record_node"])
    assert told["folder"] == "some/folder" and told["hand"] == "four_finger"
    assert values(found["sim_node"])["motion_noise_m"] == 0.01
    assert values(found["expert_node"])["reaction_s"] == 0.2


def test_a_policy_commands_through_the_arbiter_alone():
    process = started(policy="a/folder")["policy_node"]
    files = [Path(p.path) for p in process.ros.parameters if not isinstance(p, Parameter)]
    told: dict[str, object] = {}
    for file in files:
        told |= yaml.safe_load(file.read_text())["policy_node"]["ros__parameters"]
    assert told["command_topic"] == "/policy/ee_delta"
    assert told["latent_topic"] == "/policy/latent_action"
    assert values(process)["policy"] == "a/folder"


def test_a_driver_of_gamepads_is_started_on_request():
    assert "joy_driver" in started(input="joy", joy_driver="true")
    assert "joy_driver" not in started(input="keyboard", joy_driver="true")


def test_the_robot_knows_the_nodes_parameters():
    params = pytest.importorskip("lam_teleop.inputs_params")
    kinds = {
        "arbiter_node": params.ArbiterSettings,
        "keyboard_node": params.KeyboardSettings,
        "joy_node": params.JoySettings,
    }
    for path in (LAUNCH / "robots").glob("*.yaml"):
        sections = yaml.safe_load(path.read_text())
        for node, kind in kinds.items():
            given = sections.get(node, {}).get("ros__parameters", {})
            assert isinstance(from_mapping(kind, given), kind)
