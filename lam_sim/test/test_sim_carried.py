"""A gripper's demonstrations, carried through the shared space: any hand does the task."""

from __future__ import annotations

import numpy as np
import pytest

from lam_models.hands.space import open_space
from lam_sim.rollouts.actors import make_actor
from lam_sim.rollouts.rollout import Purpose, episode_seed, run_episode
from lam_sim.table.effectors import EFFECTORS
from lam_sim.table.world import TableWorld, WorldSettings


def world(task: str, hand: str) -> TableWorld:
    return TableWorld(WorldSettings(task=task, end_effector=hand, difficulty=0.0))


@pytest.mark.parametrize("hand", EFFECTORS)
@pytest.mark.parametrize("task", ["pick_place", "stack"])
def test_every_hand_holds_what_a_gripper_would(task: str, hand: str):
    actor, table = make_actor("carried"), world(task, hand)
    for index in range(2):
        seed = episode_seed(11, index, Purpose.EVALUATION)
        assert run_episode(table, actor, seed, 12.0).success


def test_the_hand_is_told_what_latents_of_a_gripper_say():
    actor, table = make_actor("carried"), world("reach", "four_finger")
    table.reset(3)
    actor.begin(table, 3)
    space = open_space()
    coder, gripper = space.coder("four_finger"), space.coder("parallel_gripper")
    wide = coder.decode(gripper.encode(np.array([gripper.modality.upper[0]])))
    order = [coder.modality.entries.index(name) for name in table.effector.joint_names]
    assert np.allclose(actor.act(table).hand, wide[order], atol=1e-6)
