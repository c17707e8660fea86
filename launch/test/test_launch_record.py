"""What record.launch.xml tells the recorder of the robot."""

from __future__ import annotations

from pathlib import Path

import yaml

from lam_bringup.description import Parameter
from lam_bringup.launch_xml import read_launch
from lam_models.data.bags.topics import read_robot
from lam_models.settings import from_mapping
from lam_teleop.bags.wanted import wanted_topics
from lam_teleop.record_params import RecordSettings

LAUNCH = Path(__file__).resolve().parents[1]
FILE = LAUNCH / "launch" / "record.launch.xml"


def settings(**given: str) -> RecordSettings:
    launch = read_launch(FILE, given, {}, lambda package: str(LAUNCH))
    (process,) = launch.processes
    told = {p.name: p.value for p in process.ros.parameters if isinstance(p, Parameter)}
    told.pop("use_sim_time")
    return from_mapping(RecordSettings, told)


def test_the_recorder_gets_the_robot_and_its_topics():
    found = settings(folder="here", topics="[/a, /b]", follow_episodes="true")
    assert found.folder == "here" and found.topics == ("/a", "/b") and found.follow_episodes
    robot = read_robot(Path(found.robot))
    assert robot == yaml.safe_load((LAUNCH / "robots" / "sim_panda.yaml").read_text())
    names = {name for one in wanted_topics(robot, {}, found.topics) for name in one.names}
    section = robot["policy_node"]["ros__parameters"]
    assert {*section["camera_topics"], section["command_topic"], "/a", "/b"} <= names
