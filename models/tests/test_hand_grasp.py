"""Where hands hold things: deltas are carried between frames, and the shipped space knows where."""

from __future__ import annotations

import numpy as np
import pytest

from lam_models import geometry
from lam_models.hands.grasp import ee_delta, grasp_delta, grasp_pose, measure, rows_of_grasp
from lam_models.hands.joint_space import joint_space
from lam_models.hands.kinematics import open_kinematics
from lam_models.hands.space import open_space
from lam_models.hands.spec_file import read_hand, shipped_hands

SPACE = open_space()
SIMULATED = ("parallel_gripper", "four_finger", "five_finger")


def drawn(seed: int) -> tuple[geometry.Pose, geometry.Pose, geometry.Delta]:
    """T_base_ee, T_ee_grasp and a delta."""
    rng = np.random.default_rng(seed)
    first, second = (
        geometry.pose(geometry.so3_exp(rng.normal(size=3)), rng.normal(size=3)) for _ in "ab"
    )
    return first, second, 0.3 * rng.normal(size=6)


@pytest.mark.parametrize("seed", range(5))
def test_the_end_effector_carries_its_grasp_along(seed: int):
    T_base_ee, T_ee_grasp, delta = drawn(seed)
    of_grasp = grasp_delta(delta, T_base_ee, T_ee_grasp)
    moved = geometry.apply_delta(T_base_ee, delta) @ T_ee_grasp
    assert np.allclose(moved, geometry.apply_delta(T_base_ee @ T_ee_grasp, of_grasp))
    assert np.allclose(ee_delta(of_grasp, T_base_ee, T_ee_grasp), delta)


def test_recorded_rows_become_those_of_the_grasp():
    T_base_ee, T_ee_grasp, delta = drawn(7)
    ee = np.array([[*T_base_ee[:3, 3], *geometry.so3_log(T_base_ee[:3, :3])]])
    poses, deltas = rows_of_grasp(ee, delta[None], T_ee_grasp)
    T_base_grasp = geometry.pose(geometry.so3_exp(poses[0, 3:]), poses[0, :3])
    assert np.allclose(T_base_grasp, T_base_ee @ T_ee_grasp)
    assert np.allclose(deltas[0], grasp_delta(delta, T_base_ee, T_ee_grasp))


@pytest.mark.parametrize("name", SIMULATED)
def test_the_shipped_space_says_where_its_latents_close_a_hand(name: str):
    coder = SPACE.coder(name)
    found = measure(open_kinematics(read_hand(name)), coder, SPACE.coder("parallel_gripper"))
    # From one gripper to the next, latents of the same width differ a little.
    assert np.allclose(found, coder.modality.grasp, atol=[0.002, 0.002, 0.03])


def test_a_gripper_holds_things_where_its_end_effector_is():
    for name in shipped_hands():
        if len(read_hand(name).actuated) == 1:
            assert grasp_pose(SPACE.coder(name).modality) is None


def test_a_space_of_joints_moves_no_grasp():
    spec = read_hand("four_finger")
    assert grasp_pose(SPACE.coder_for(spec).modality) is not None
    assert grasp_pose(joint_space(spec).coder_for(spec).modality) is None
