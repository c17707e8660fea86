"""The scripted demonstrator at a gripper's controls, carried to whatever hand the world has.

Somebody who teleoperates a hand through the shared space shows what a gripper would do: its latents
close the hand, and close it in a place of the hand's own (lam_models.hands.grasp), which is what is
steered. Unlike what the expert shows with the hand's own postures, a policy of that space can learn
it together with what a gripper showed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lam_models.command import UserError
from lam_models.hands.grasp import ee_delta, grasp_pose
from lam_models.hands.space import Coder, open_space
from lam_models.types import Action
from lam_sim.interface import Expert, World
from lam_sim.rollouts.policy_actor import coder_of
from lam_sim.table.effectors import Joints
from lam_sim.table.world import TableWorld

_GRIPPER = "parallel_gripper"


@dataclass
class CarriedHand:
    """A hand that latents of a gripper close (a Grasper). order: of the world's joints."""

    coder: Coder
    gripper: Coder
    order: list[int]
    tip_reach_m: float
    max_aperture_m: float

    def grasp(self, aperture_m: float) -> Joints:
        latent = self.gripper.encode(np.array([aperture_m]))
        return self.coder.decode(latent)[self.order].astype(np.float64)


class CarriedExpert:
    """An actor: the task's demonstrator, through the space that comes with the package."""

    def __init__(self) -> None:
        self._space = open_space()

    def begin(self, world: World, seed: int) -> None:
        if not isinstance(world, TableWorld):
            raise UserError("the demonstrator 'carried' knows the hands of the world 'table' only")
        effector, gripper = world.effector, self._space.coder(_GRIPPER)
        coder = coder_of(self._space, effector.joint_names)
        order = [coder.modality.entries.index(name) for name in effector.joint_names]
        widest_m = gripper.modality.upper[0]
        self._grasp = grasp_pose(coder.modality)
        hand = CarriedHand(coder, gripper, order, effector.tip_reach_m, widest_m)
        self._expert: Expert = world.expert(hand)

    def act(self, world: World) -> Action:
        truth, T_ee_grasp = world.truth(), self._grasp
        if T_ee_grasp is None:
            return self._expert.act(truth)
        action = self._expert.act(replace(truth, T_base_ee=truth.T_base_ee @ T_ee_grasp))
        return Action(ee_delta(action.delta_ee, truth.T_base_ee, T_ee_grasp), action.hand)
