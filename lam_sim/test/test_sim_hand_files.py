"""The hand files of the simulated end effectors against the models that the simulator builds."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from lam_models.hands.kinematics import open_kinematics, palm_pose
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_file import read_hand
from lam_sim.table.effectors import EFFECTORS, EndEffector, find_effector


@pytest.fixture(params=EFFECTORS)
def pair(request: pytest.FixtureRequest) -> tuple[HandSpec, EndEffector]:
    return read_hand(request.param), find_effector(request.param)()


def model_of(effector: EndEffector) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    flange = spec.worldbody.add_body(name="flange")
    effector.attach(spec, flange)
    return spec.compile()


def pads(model: mujoco.MjModel, effector: EndEffector, joints: np.ndarray) -> np.ndarray:
    """The tip sites in the flange's frame, tip_0 first."""
    data = mujoco.MjData(model)
    for name, position in effector.positions(joints).items():
        if (index := mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name)) >= 0:
            data.qpos[model.jnt_qposadr[index]] = position
    mujoco.mj_kinematics(model, data)
    count = sum(model.site(index).name.startswith("tip_") for index in range(model.nsite))
    return np.stack([data.site(f"tip_{index}").xpos for index in range(count)])


def test_joints_have_the_effectors_names_order_and_limits(pair: tuple[HandSpec, EndEffector]):
    spec, effector = pair
    assert spec.actuated == tuple(effector.joint_names)
    np.testing.assert_allclose(spec.lower, effector.lower)
    np.testing.assert_allclose(spec.upper, effector.upper)
    assert [channel.joint for channel in spec.command.order] == list(effector.joint_names)


def test_coupled_joints_are_where_the_effector_has_them(pair: tuple[HandSpec, EndEffector]):
    spec, effector = pair
    for q in spec.sample(20, 0):
        found = dict(zip(spec.names, spec.expand(q).tolist(), strict=True))
        for name, position in effector.positions(q).items():
            assert found[name] == pytest.approx(position)


def test_every_joint_of_the_model_is_in_the_file(pair: tuple[HandSpec, EndEffector]):
    spec, effector = pair
    model = model_of(effector)
    for index in range(model.njnt):
        joint = model.joint(index)
        limits = spec.joints[joint.name].limits
        if limits is not None:
            np.testing.assert_allclose(joint.range, limits)


def test_fingertips_are_the_pads_of_the_model(pair: tuple[HandSpec, EndEffector]):
    """In all postures; the thumb's pad is tip_0, the others follow as index to little."""
    spec, effector = pair
    model, kinematics = model_of(effector), open_kinematics(spec)
    T_flange_palm = palm_pose(spec)
    for q in spec.sample(30, 1):
        tips = kinematics.tips(q) @ T_flange_palm[:3, :3].T + T_flange_palm[:3, 3]
        np.testing.assert_allclose(tips, pads(model, effector, q), atol=1e-6)


def test_a_closed_grasp_brings_index_and_thumb_together(pair: tuple[HandSpec, EndEffector]):
    spec, effector = pair
    kinematics = open_kinematics(spec)
    ends = [spec.tips.index("thumb"), spec.tips.index("index")]
    apertures_m = np.linspace(0.0, effector.max_aperture_m, 6)
    q = np.stack([effector.grasp(float(aperture_m)) for aperture_m in apertures_m])
    thumb, index = np.moveaxis(kinematics.tips(q)[:, ends], 1, 0)
    assert np.all(np.diff(np.linalg.norm(thumb - index, axis=-1)) > 0.0)
