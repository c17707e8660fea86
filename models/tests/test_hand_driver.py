"""What each shipped hand's driver is told, and the conventions that a file can speak."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import yaml

from lam_models.command import UserError
from lam_models.hands.driver import driver_units
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_file import read_hand, shipped_hands
from lam_models.hands.spec_parts import Channel


def told(spec: HandSpec, q: np.ndarray) -> dict[str, float]:
    units = driver_units(spec)
    return dict(zip(units.names, units.values(q).tolist(), strict=True))


def flat(spec: HandSpec) -> np.ndarray:
    return spec.clip(np.zeros(len(spec.actuated)))


def speaking(spec: HandSpec, unit: str, offset: float = 0.0) -> HandSpec:
    order = tuple(Channel(channel.joint, offset=offset) for channel in spec.command.order)
    return dataclasses.replace(
        spec, command=dataclasses.replace(spec.command, unit=unit, order=order)
    )


def test_inspire_is_told_whole_numbers_from_1000_open_to_0_closed():
    spec = read_hand("inspire_rh56")
    assert list(told(spec, spec.lower).values()) == [1000.0] * 6
    assert list(told(spec, spec.upper).values()) == [0.0] * 6
    assert list(told(spec, spec.lower)) == [
        "pinky", "ring", "middle", "index", "thumb_bend", "thumb_rotate",
    ]  # fmt: skip
    values = driver_units(spec).values(spec.sample(100, 0))
    assert np.array_equal(values, np.round(values))
    assert not np.signbit(driver_units(spec).values(spec.upper)).any()


def test_ability_is_told_degrees_finger_by_finger_and_lets_go_in_silence():
    spec = read_hand("ability")
    bent = dict(zip(spec.actuated, spec.lower, strict=True)) | {"index_q1": np.pi / 3}
    bent |= {"thumb_q1": -np.pi / 2, "thumb_q2": np.pi / 6}
    values = told(spec, np.array([bent[name] for name in spec.actuated]))
    assert values == pytest.approx(
        {"index": 60, "middle": 0, "ring": 0, "pinky": 0, "thumb_flexor": 30, "thumb_rotator": -90}
    )
    assert list(values)[:4] == ["index", "middle", "ring", "pinky"]
    assert spec.command.on_silence == "repeat"


def test_allegro_is_told_sixteen_radians_finger_by_finger():
    spec = read_hand("allegro")
    wanted = [f"ah_joint{finger}{joint}" for finger in range(4) for joint in range(4)]
    units = driver_units(spec)
    assert list(units.names) == wanted
    q = spec.sample(1, 0)[0]
    np.testing.assert_array_equal(units.values(q), q[units.take])
    assert spec.command.type == "std_msgs/msg/Float64MultiArray"
    fingers = [channel.joint.partition("_")[0] for channel in spec.command.order]
    assert fingers == [name for name in ("index", "middle", "ring", "thumb") for _ in range(4)]


def test_leap_is_told_pi_for_a_flat_hand_fingers_before_thumb():
    spec = read_hand("leap")
    np.testing.assert_allclose(list(told(spec, flat(spec)).values()), np.pi, atol=1e-6)
    fingers = [channel.joint.partition("_")[0] for channel in spec.command.order]
    assert fingers == [name for name in ("index", "middle", "ring", "thumb") for _ in range(4)]
    assert spec.command.rate_hz < 90.0


def test_leaps_other_two_zeros_can_be_said():
    spec = read_hand("leap")
    from_zero = speaking(spec, "rad")
    assert list(told(from_zero, flat(spec)).values()) == [0.0] * 16
    ones = speaking(spec, "signed_share")
    assert list(told(ones, spec.lower).values()) == pytest.approx([-1.0] * 16)
    assert list(told(ones, spec.upper).values()) == pytest.approx([1.0] * 16)
    for other in (from_zero, ones):
        units, q = driver_units(other), spec.sample(10, 0)
        np.testing.assert_allclose(units.joints(units.values(q)), q, atol=1e-12)


def test_franka_is_told_half_the_width():
    spec = read_hand("panda_gripper")
    from lam_models.hands.kinematics import open_kinematics

    q = np.array([0.03])
    tips = open_kinematics(spec).tips(q)
    width_m = float(np.linalg.norm(tips[0] - tips[1]))
    assert list(told(spec, q).values()) == pytest.approx([width_m / 2])
    assert (spec.command.interface, spec.command.type) == (
        "action",
        "control_msgs/action/GripperCommand",
    )


def test_robotiq_is_told_radians_of_the_knuckle_which_close_it():
    spec = read_hand("robotiq_2f85")
    from lam_models.hands.kinematics import open_kinematics

    tips = open_kinematics(spec).tips(np.linspace(spec.lower, spec.upper, 9))
    widths_m = np.linalg.norm(tips[:, 0] - tips[:, 1], axis=-1)
    assert np.all(np.diff(widths_m) < 0.0)
    assert widths_m[0] == pytest.approx(0.085, abs=0.002)
    assert widths_m[-1] < 0.002
    assert told(spec, spec.upper) == pytest.approx({"robotiq_85_left_knuckle_joint": 0.8})


def test_shadow_is_told_its_motors_the_two_outer_joints_as_one():
    spec = read_hand("shadow")
    names = driver_units(spec).names
    assert len(names) == 18 and set(names) == set(spec.actuated)
    assert {"rh_FFJ0", "rh_LFJ0"} < set(names) and not {"rh_FFJ1", "rh_FFJ2"} & set(names)


def test_a_driver_that_listens_best_effort_can_be_said(tmp_path):
    content = yaml.safe_load(shipped_hands()["leap"].read_text())
    content["command"] |= {"name": "/hand_0/joint_commands", "reliability": "best_effort"}
    path = tmp_path / "wuji_like.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    assert read_hand(path).command.reliability == "best_effort"
    content["command"]["reliability"] = "besteffort"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(UserError, match=r"reliability.*besteffort.*reliable.*best_effort"):
        read_hand(path)


def test_a_turned_sign_and_an_offset_come_back():
    spec = read_hand("leap")
    order = tuple(
        Channel(channel.joint, sign=-1, offset=10.0 * index)
        for index, channel in enumerate(spec.command.order)
    )
    turned = dataclasses.replace(
        spec, command=dataclasses.replace(spec.command, unit="deg", order=order)
    )
    units, q = driver_units(turned), spec.sample(5, 1)
    np.testing.assert_allclose(units.joints(units.values(q)), q, atol=1e-12)
    assert np.all(units.gain < 0.0)
