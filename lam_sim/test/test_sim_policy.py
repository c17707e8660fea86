"""A policy folder acts in a world: its hand latents are decoded; what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lam_models.checkpoint import CameraSpec, origin_now
from lam_models.command import UserError
from lam_models.geometry import apply_delta
from lam_models.hands.grasp import grasp_pose
from lam_models.hands.joint_space import joint_space
from lam_models.hands.space import HandSpace, open_space, save_space
from lam_models.hands.spec_file import read_hand
from lam_models.policy.instant import Config, write_instant
from lam_sim.rollouts.actors import make_actor
from lam_sim.rollouts.policy_actor import PolicyFolder
from lam_sim.table.world import TableWorld, WorldSettings

HALF_OPEN_M = 0.04
RISE_M = 0.002


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> HandSpace:
    path = tmp_path_factory.mktemp("space") / "space"
    content = joint_space(read_hand("parallel_gripper"))
    return open_space(save_space(path, content, origin_now("", "joints")))


@pytest.fixture(scope="module")
def policy(space: HandSpace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It rises, and holds the hand half open."""
    motion = np.zeros((8, 6))
    motion[:, 2] = RISE_M
    return write_instant(
        tmp_path_factory.mktemp("policy") / "policy",
        space.latent,
        (CameraSpec("front", 32, 32),),
        config=Config(chunk_steps=8),
        motion=motion,
        hand=space.coder("parallel_gripper").encode(np.array([HALF_OPEN_M])),
    )


def world(hand: str = "parallel_gripper") -> TableWorld:
    return TableWorld(WorldSettings(task="reach", end_effector=hand), seed=1)


def test_it_moves_the_arm_and_the_hand(policy: Path, space: HandSpace):
    actor, table = make_actor(PolicyFolder(str(policy), str(space.path), 3)), world()
    before = table.truth().T_base_ee[2, 3]
    actor.begin(table, 1)
    for _ in range(10):
        action = actor.act(table)
        assert np.isclose(action.delta_ee[2], RISE_M)
        assert np.allclose(action.hand, [HALF_OPEN_M], atol=1e-3)
        table.step(action)
    assert table.truth().T_base_ee[2, 3] - before > 5 * RISE_M


def test_another_hand_is_steered_where_it_holds_things(tmp_path: Path):
    space, turn = open_space(), np.zeros((8, 6))
    turn[:, 5] = 0.1
    shared = write_instant(
        tmp_path / "policy",
        space.latent,
        (CameraSpec("front", 32, 32),),
        config=Config(chunk_steps=8),
        motion=turn,
        hand=space.coder("parallel_gripper").encode(np.array([HALF_OPEN_M])),
    )
    T_ee_grasp = grasp_pose(space.coder("four_finger").modality)
    assert T_ee_grasp is not None
    actor, table = make_actor(PolicyFolder(str(shared))), world("four_finger")
    actor.begin(table, 1)
    T_base_ee = table.truth().T_base_ee
    moved = apply_delta(T_base_ee, actor.act(table).delta_ee)
    assert np.linalg.norm(moved[:3, 3] - T_base_ee[:3, 3]) > 0.002
    assert np.allclose((moved @ T_ee_grasp)[:3, 3], (T_base_ee @ T_ee_grasp)[:3, 3])


def test_what_does_not_fit_is_refused_by_name(policy: Path, space: HandSpace, tmp_path: Path):
    other = joint_space(read_hand("four_finger"))
    path = save_space(tmp_path / "other", other, origin_now("", "joints"))
    with pytest.raises(UserError, match="joints/four_finger"):
        make_actor(PolicyFolder(str(policy), str(path)))
    actor = make_actor(PolicyFolder(str(policy), str(space.path)))
    with pytest.raises(UserError, match="no hand of the space"):
        actor.begin(world("four_finger"), 1)
    with pytest.raises(UserError, match="at least 1"):
        make_actor(PolicyFolder(str(policy), str(space.path), 0))
    with pytest.raises(UserError, match="no policy folder"):
        make_actor(str(tmp_path / "none"))
