"""A laboratory's own URDF or MJCF, from one YAML: it moves as the same hand in primitives does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from lam_models.command import UserError
from lam_models.hands.kinematics import open_kinematics
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_file import read_hand

pytest.importorskip("mujoco")

# A thumb and an index finger of two joints, the second coupled, and a thumb that slides.
HAND: dict[str, Any] = {
    "hand": "pincer",
    "side": "right",
    "joints": {
        "knuckle": {"limits_rad": [0.0, 1.5]},
        "middle": {"follows": {"joint": "knuckle", "ratio": 0.5, "offset_rad": 0.2}},
        "slide": {"limits_m": [0.0, 0.03]},
    },
    "model": {
        "primitive": {
            "links": {
                "mount": {"at_m": [0.0, 0.01, 0.02], "rpy_rad": [0.1, -0.2, 0.3]},
                "proximal": {
                    "parent": "mount",
                    "at_m": [0.0, 0.0, 0.07],
                    "joint": "knuckle",
                    "axis": [0.0, 1.0, 0.0],
                },
                "distal": {
                    "parent": "proximal",
                    "at_m": [0.0, 0.0, 0.04],
                    "rpy_rad": [0.4, 0.0, 0.2],
                    "joint": "middle",
                    "axis": [0.0, 0.6, 0.8],
                },
                "thumb": {
                    "parent": "mount",
                    "at_m": [0.03, 0.03, 0.04],
                    "joint": "slide",
                    "axis": [0.0, -1.0, 0.0],
                },
            }
        }
    },
    "palm": {"link": "mount", "at_m": [0.0, -0.01, 0.01], "rpy_rad": [0.0, 0.0, 0.5]},
    "fingertips": {
        "thumb": {"link": "thumb", "offset_m": [0.0, 0.0, 0.05]},
        "index": {"link": "distal", "offset_m": [0.01, 0.0, 0.03]},
    },
    "key_vectors": [["palm", "index"], ["thumb", "index"]],
    "command": {
        "interface": "topic",
        "name": "/pincer",
        "type": "std_msgs/msg/Float64MultiArray",
        "unit": "share",
        "order": [{"joint": "knuckle"}, {"joint": "slide"}],
        "rate_hz": 50.0,
        "on_silence": "hold",
    },
}

URDF = """<robot name="pincer">
  <link name="root"><visual><geometry><mesh filename="package://nowhere/a.stl"/></geometry></visual>
    <collision><geometry><mesh filename="gone.obj"/></geometry></collision></link>
  <link name="mount"/> <link name="proximal"/> <link name="distal"/> <link name="thumb">
    <inertial><mass value="0.1"/>
      <inertia ixx="9" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial></link>
  <joint name="bolt" type="fixed"><parent link="root"/><child link="mount"/>
    <origin xyz="0 0.01 0.02" rpy="0.1 -0.2 0.3"/></joint>
  <joint name="knuckle" type="revolute"><parent link="mount"/><child link="proximal"/>
    <origin xyz="0 0 0.07"/><axis xyz="0 1 0"/>
    <limit lower="0" upper="1.5" effort="1" velocity="1"/></joint>
  <joint name="middle" type="revolute"><parent link="proximal"/><child link="distal"/>
    <origin xyz="0 0 0.04" rpy="0.4 0 0.2"/><axis xyz="0 0.6 0.8"/>
    <limit lower="0" upper="1.0" effort="1" velocity="1"/>
    <mimic joint="knuckle" multiplier="0.5" offset="0.2"/></joint>
  <joint name="slide" type="prismatic"><parent link="mount"/><child link="thumb"/>
    <origin xyz="0.03 0.03 0.04"/><axis xyz="0 -1 0"/>
    <limit lower="0" upper="0.03" effort="1" velocity="1"/></joint>
</robot>"""

MJCF = """<mujoco><compiler angle="radian" eulerseq="XYZ"/>
  <worldbody><body name="mount" pos="0 0.01 0.02" euler="0.1 -0.2 0.3">
    <body name="proximal" pos="0 0 0.07">
      <joint name="knuckle" axis="0 1 0" range="0 1.5"/><geom size="0.01"/>
      <body name="distal" pos="0 0 0.04" euler="0.4 0 0.2">
        <joint name="middle" axis="0 0.6 0.8" range="0 1"/><geom size="0.01"/>
        <site name="pad" pos="0.01 0 0.03"/></body></body>
    <body name="thumb" pos="0.03 0.03 0.04">
      <joint name="slide" type="slide" axis="0 -1 0" range="0 0.03"/><geom size="0.01"/></body>
  </body></worldbody>
  <equality><joint joint1="middle" joint2="knuckle" polycoef="0.2 0.5 0 0 0"/></equality>
</mujoco>"""


def written(folder: Path, **changes: Any) -> HandSpec:
    """The pincer's file with other values for some of its keys, beside its models, and read."""
    (folder / "pincer.urdf").write_text(changes.pop("urdf", URDF))
    (folder / "pincer.xml").write_text(changes.pop("mjcf", MJCF))
    path = folder / "pincer.yaml"
    path.write_text(yaml.safe_dump(HAND | changes, sort_keys=False))
    return read_hand(path)


MODELS = pytest.mark.parametrize(
    "model", [{"urdf": "pincer.urdf"}, {"mjcf": "pincer.xml"}], ids=str
)


@MODELS
@pytest.mark.parametrize("side", ["right", "left"])
def test_a_model_file_moves_as_the_primitives_do(tmp_path: Path, model: dict, side: str):
    own = open_kinematics(written(tmp_path, side=side))
    theirs = open_kinematics(written(tmp_path, side=side, model=model))
    q = own.spec.sample(12, 0).reshape(3, 4, 2)
    np.testing.assert_allclose(theirs.tips(q), own.tips(q), atol=1e-9)
    np.testing.assert_allclose(theirs.jacobian(q), own.jacobian(q), atol=1e-9)
    ends = [
        kinematics.skeleton(q)[..., list(kinematics.carriers), :] for kinematics in (own, theirs)
    ]
    np.testing.assert_allclose(ends[1], ends[0], atol=1e-9)


def test_a_site_may_be_a_fingertip(tmp_path: Path):
    own = open_kinematics(written(tmp_path))
    tips = {"thumb": HAND["fingertips"]["thumb"], "index": {"link": "pad"}}
    theirs = open_kinematics(written(tmp_path, model={"mjcf": "pincer.xml"}, fingertips=tips))
    q = own.spec.sample(5, 1)
    np.testing.assert_allclose(theirs.tips(q), own.tips(q), atol=1e-9)
    np.testing.assert_allclose(theirs.jacobian(q), own.jacobian(q), atol=1e-9)


@MODELS
def test_a_coupling_that_the_yaml_leaves_out_is_refused(tmp_path: Path, model: dict):
    joints = HAND["joints"] | {"middle": {"limits_rad": [0.0, 1.0]}}
    order = [*HAND["command"]["order"], {"joint": "middle"}]
    command = HAND["command"] | {"order": order}
    spec = written(tmp_path, model=model, joints=joints, command=command)
    with pytest.raises(UserError, match=r"pincer\.yaml: joints: middle: follows 'knuckle'"):
        open_kinematics(spec)


@MODELS
def test_a_joint_that_the_model_lacks_is_named_with_the_nearest(tmp_path: Path, model: dict):
    joints = {"knukle": HAND["joints"]["knuckle"], "slide": HAND["joints"]["slide"]}
    command = HAND["command"] | {"order": [{"joint": "knukle"}, {"joint": "slide"}]}
    spec = written(tmp_path, model=model, joints=joints, command=command)
    with pytest.raises(UserError, match=r"'knukle'\. Did you mean 'knuckle'"):
        open_kinematics(spec)


@MODELS
def test_a_joint_of_the_other_kind_is_refused(tmp_path: Path, model: dict):
    joints = HAND["joints"] | {"slide": {"limits_rad": [0.0, 0.03]}}
    spec = written(tmp_path, model=model, joints=joints)
    with pytest.raises(UserError, match="slide: is revolute here and prismatic in the model"):
        open_kinematics(spec)


@MODELS
def test_a_link_that_the_model_lacks_is_named_with_the_nearest(tmp_path: Path, model: dict):
    tips = HAND["fingertips"] | {"index": {"link": "distall"}}
    with pytest.raises(UserError, match=r"'distall'\. Did you mean 'distal'"):
        open_kinematics(written(tmp_path, model=model, fingertips=tips))


@MODELS
def test_a_palm_that_moves_is_refused(tmp_path: Path, model: dict):
    with pytest.raises(UserError, match="palm: link 'distal' is moved by"):
        open_kinematics(written(tmp_path, model=model, palm={"link": "distal"}))


@MODELS
def test_what_the_yaml_does_not_list_is_noted(tmp_path: Path, model: dict):
    joints = {"knuckle": {"limits_rad": [-0.5, 1.5]}, "middle": HAND["joints"]["middle"]}
    command = HAND["command"] | {"order": [{"joint": "knuckle"}]}
    spec = written(tmp_path, model=model, joints=joints, command=command)
    notes = " ".join(getattr(open_kinematics(spec), "notes", ()))
    assert "'slide' of the model is not listed" in notes
    assert "limits of 'knuckle', [-0.5, 1.5], are wider" in notes


@pytest.mark.parametrize("text", ["<robot", "<mujoco/>", "<robot name='x'/>", "", "\x00"])
def test_a_urdf_that_is_none_is_refused(tmp_path: Path, text: str):
    spec = written(tmp_path, model={"urdf": "pincer.urdf"}, urdf=text)
    with pytest.raises(UserError, match=r"pincer"):
        open_kinematics(spec)


def test_a_model_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"gone\.urdf.*does not exist"):
        open_kinematics(written(tmp_path, model={"urdf": "gone.urdf"}))
    with pytest.raises(UserError, match="needs the Python package 'no_such_package'"):
        open_kinematics(written(tmp_path, model={"mjcf": "no_such_package:hand.xml"}))
