"""Every robot file is valid, and mistakes in one are named with their line."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from lam_bringup.robot import check_parameter_file
from lam_models.command import UserError
from lam_models.settings import from_mapping

LAUNCH = Path(__file__).resolve().parents[1]
ROBOTS = sorted((LAUNCH / "robots").glob("*.yaml"))


@pytest.mark.parametrize("path", ROBOTS, ids=lambda path: path.stem)
def test_robot_is_valid_and_its_nodes_know_the_parameters(path: Path) -> None:
    params = pytest.importorskip("lam_sim.params")
    check_parameter_file(path)
    sections = yaml.safe_load(path.read_text())
    for node, kind in (("sim_node", params.SimSettings), ("expert_node", params.ExpertSettings)):
        values = sections.get(node, {}).get("ros__parameters", {})
        assert dataclasses.is_dataclass(from_mapping(kind, values))


VALID = """
/**: {ros__parameters: {use_sim_time: true}}
arm:
  policy:
    ros__parameters: {a: 1, b: {c: [1.0, 2.0], d: []}, e: '', f: "1"}
"""


def test_namespaces_and_nesting_are_valid(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(VALID)
    check_parameter_file(path)


MISTAKES = {
    "": "the file is empty",
    "- a": "1: the file must be a mapping, not a list",
    "n:\n  a: 1": "2: 'a' in 'n' is not inside 'ros__parameters:'",
    "a: 1": "1: 'a' in the file is not inside 'ros__parameters:'",
    "n:\n  ros__parameters:\n    a: b: c": "3: mapping values are not allowed here",
    "n:\n  ros__parameters:\n  - a": "3: the parameters of 'n' must be a mapping, not a list",
    "n:\n  ros__parameters:\n    a:": "3: 'n.a' is empty",
    "n:\n  ros__parameters:\n    a: [1, 2.0]": "3: the list 'n.a' holds float, int",
    "n:\n  ros__parameters:\n    a: [{b: 1}]": "3: the list 'n.a' holds map",
    "n:\n  ros__parameters:\n    a: 2020-01-01": "3: 'n.a' is a date",
    "n:\n  ros__parameters:\n    a: 1\n    a: 2": "4: 'a' is given twice",
    "n: &x\n  ros__parameters: {a: 1}\nm: *x": "3: ROS 2 reads no aliases (*x)",
    "n:\n\tros__parameters: {}": "2: found character '\\t'",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_named_with_their_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(MISTAKES[text])):
        check_parameter_file(path)


def test_a_robot_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(UserError, match=r"unknown parameter file 'sim_pnda'\. Did you mean 'sim_p"):
        check_parameter_file(LAUNCH / "robots" / "sim_pnda.yaml")
