"""Laws of every hand file that comes with the package, so that a new file brings its tests."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lam_models.hands import poses as natural
from lam_models.hands.check import PINCH_M, examine
from lam_models.hands.driver import driver_units
from lam_models.hands.human import FINGERS, TIPS, mean_hand
from lam_models.hands.kinematics import Kinematics, open_kinematics
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_file import read_hand, shipped_hands
from lam_models.hands.spec_parts import PALM, RANGE_UNITS
from lam_models.hands.touch import nearest_touches

NAMES = tuple(shipped_hands())
SPECS = {name: read_hand(name) for name in NAMES}
WITH_PALM = tuple(
    name for name, spec in SPECS.items() if any(PALM in pair for pair in spec.key_vectors)
)
every_hand = pytest.mark.parametrize("name", NAMES)
every_palm = pytest.mark.parametrize("name", WITH_PALM)


def opened(name: str) -> tuple[HandSpec, Kinematics]:
    return SPECS[name], open_kinematics(SPECS[name])


@every_hand
def test_a_file_is_named_after_its_hand(name: str):
    assert SPECS[name].hand == name
    assert SPECS[name].path.stem == name


@every_hand
def test_coupled_joints_keep_their_limits_wherever_the_motors_are(name: str):
    spec = SPECS[name]
    everything = spec.expand(spec.sample(200, 0))
    for column, joint in zip(everything.T, spec.joints.values(), strict=True):
        low, high = joint.limits or (-np.inf, np.inf)
        assert np.all((low - 1e-6 <= column) & (column <= high + 1e-6))


@every_hand
def test_a_follower_is_what_its_coupling_says(name: str):
    spec = SPECS[name]
    q = spec.sample(20, 1)
    place = dict(zip(spec.names, spec.expand(q).T, strict=True))
    for joint_name, joint in spec.joints.items():
        if joint.follows is None:
            assert np.array_equal(place[joint_name], q[:, spec.actuated.index(joint_name)])
        else:
            leader = place[joint.follows.joint]
            wanted = joint.follows.offset + joint.follows.ratio * leader
            np.testing.assert_allclose(place[joint_name], wanted, atol=1e-12)


@every_hand
def test_the_jacobian_is_the_finite_difference(name: str):
    spec, kinematics = opened(name)
    q, step = spec.sample(10, 2), 1e-6
    for column, moved in enumerate(step * np.eye(len(spec.actuated))):
        slope = (kinematics.tips(q + moved) - kinematics.tips(q - moved)) / (2 * step)
        np.testing.assert_allclose(kinematics.jacobian(q)[..., column], slope, atol=1e-8)


@every_hand
def test_a_stack_of_poses_is_each_pose_for_itself(name: str):
    spec, kinematics = opened(name)
    q = spec.sample(6, 3).reshape(2, 3, -1)
    for read in (kinematics.tips, kinematics.jacobian, kinematics.skeleton):
        np.testing.assert_allclose(read(q)[1, 2], read(q[1, 2]), atol=1e-12)


@every_hand
def test_a_tip_stays_with_the_link_that_carries_it(name: str):
    """Bones of one length whatever the pose, and the tip at one distance from its link."""
    spec, kinematics = opened(name)
    q = spec.sample(30, 4)
    links, tips = kinematics.skeleton(q), kinematics.tips(q)
    far = np.linalg.norm(tips - links[:, list(kinematics.carriers)], axis=-1)
    np.testing.assert_allclose(far, np.broadcast_to(far[0], far.shape), atol=1e-9)
    assert np.all(np.linalg.norm(tips, axis=-1) < 0.4)


@every_hand
def test_a_left_hand_is_the_mirror_image(name: str):
    """The same links called a left hand's: y of every point is negated."""
    spec, kinematics = opened(name)
    left = open_kinematics(dataclasses.replace(spec, side="left"))
    q, mirror = spec.sample(5, 5), np.array([1.0, -1.0, 1.0])
    np.testing.assert_allclose(left.tips(q), kinematics.tips(q) * mirror, atol=1e-12)
    np.testing.assert_allclose(left.skeleton(q), kinematics.skeleton(q) * mirror, atol=1e-12)
    turned = kinematics.jacobian(q) * mirror[:, None]
    np.testing.assert_allclose(left.jacobian(q), turned, atol=1e-12)


@every_hand
def test_the_check_finds_no_fault_and_no_turned_joint(name: str):
    findings = examine(open_kinematics(SPECS[name]))
    assert findings.faults == ()
    assert not [note for note in findings.notes if "stay" not in note]


@every_hand
def test_index_and_middle_finger_meet_the_thumb(name: str):
    _, kinematics = opened(name)
    for touch in nearest_touches(kinematics):
        if touch.finger in ("index", "middle"):
            assert touch.gap_m < PINCH_M


@every_palm
def test_fingers_lie_in_the_palm_frame_as_a_persons(name: str):
    """Fingers to +z, bending to +x; index to little from +y to -y, the thumb beyond or before."""
    spec, kinematics = opened(name)
    mean = dict(zip(spec.tips, kinematics.tips(spec.sample(500, 6)).mean(axis=0), strict=True))
    fingers = [finger for finger in FINGERS[1:] if finger in mean]
    sides = [mean[finger][1] for finger in fingers]
    assert sides == sorted(sides, reverse=True)
    assert all(mean[finger][0] > 0.0 and mean[finger][2] > 0.0 for finger in fingers)
    assert mean["thumb"][0] > 0.0 and mean["thumb"][1] > mean["ring"][1]


@every_palm
def test_flexing_brings_tips_out_of_the_palm(name: str):
    spec, kinematics = opened(name)
    slopes = kinematics.jacobian(spec.clip(np.zeros((1, len(spec.actuated)))))[0]
    for column, joint_name in enumerate(spec.actuated):
        slot = spec.joints[joint_name].slot
        if slot.endswith("_mcp_flexion") and not slot.startswith(("thumb", "-thumb")):
            assert slopes[spec.tips.index(slot.partition("_")[0]), 0, column] > 0.0


@every_palm
def test_the_palm_frame_suits_natural_poses_as_it_is(name: str):
    """Turned by a quarter about any axis, tips would lie farther from a person's on average."""
    spec, kinematics = opened(name)
    hand = mean_hand()
    human = hand.points(natural.sample(hand, 300, 0).angles)[:, TIPS].mean(axis=0)
    human = human[[FINGERS.index(finger) for finger in spec.tips]]
    mean = kinematics.tips(spec.sample(500, 7)).mean(axis=0)
    for axis in np.eye(3):
        for sign in (-1.0, 1.0):
            turned = np.cross(sign * axis, mean) + np.outer(mean @ axis, axis)
            assert np.linalg.norm(turned - human) > np.linalg.norm(mean - human)


@every_hand
def test_driver_units_give_the_joints_back(name: str):
    spec = SPECS[name]
    units, q = driver_units(spec), spec.sample(50, 8)
    step = 0.5 / np.abs(units.gain) if units.whole else np.full(len(units.gain), 1e-12)
    wrong = np.abs(units.joints(units.values(q)) - q)[:, units.take]
    assert np.all(wrong <= step + 1e-12)


@every_hand
def test_driver_ranges_are_met_at_the_limits(name: str):
    spec = SPECS[name]
    units = driver_units(spec)
    ends = np.stack([units.values(spec.lower), units.values(spec.upper)])
    if spec.command.unit in RANGE_UNITS:
        low, high = {"share": (0, 1), "signed_share": (-1, 1), "per_mille": (0, 1000)}[
            spec.command.unit
        ]
        np.testing.assert_allclose(np.sort(ends, axis=0)[0], low, atol=1e-9)
        np.testing.assert_allclose(np.sort(ends, axis=0)[1], high, atol=1e-9)
    signs = np.array([channel.sign for channel in spec.command.order])
    assert np.all(np.sign(ends[1] - ends[0]) == signs)
