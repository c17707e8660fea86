"""A policy folder in a world without ROS: for development, and for evaluations in parallel.

It sees what the robot's node would see, made by the same code, and its hand latents are decoded for
whatever hand the world has. There is no time here: an answer is there at once, and serves for
`replan_steps` control periods. `lam launch` runs the same folder through real messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lam_models.command import UserError
from lam_models.hands.grasp import ee_delta, grasp_pose
from lam_models.hands.space import Coder, HandSpace, open_space_of
from lam_models.policy.opening import hand_space, open_policy
from lam_models.sense.observing import ee_vector
from lam_models.types import Action, ActionChunk, Frame, Observation
from lam_sim.interface import World

# As `lam data generate` draws by default; the policy's own size is made of it by area, as live.
_DRAWN_SIDE = 192


@dataclass(frozen=True)
class PolicyFolder:
    """Which policy acts, and how.

    space: folder of the space of hands, "" for the shipped one.
    replan_steps: control periods between answers.
    """

    path: str
    space: str = ""
    replan_steps: int = 1


class PolicyActor:
    """An actor that asks the policy of a folder."""

    def __init__(self, folder: PolicyFolder) -> None:
        import torch

        torch.set_num_threads(1)
        if not Path(folder.path).is_dir():
            raise UserError(f"no policy folder at {folder.path}")
        if folder.replan_steps < 1:
            raise UserError(f"replan steps {folder.replan_steps}: must be at least 1")
        self._folder = folder
        self._opened = open_policy(folder.path)
        self._space = open_space_of(hand_space(self._opened.spec), folder.space)

    def begin(self, world: World, seed: int) -> None:
        if abs(self._opened.spec.rate_hz - world.control_hz) > 1e-6:
            raise UserError(
                f"{self._folder.path} has {self._opened.spec.rate_hz:g} steps a second, the world "
                f"{world.control_hz:g} periods"
            )
        self._coder = coder_of(self._space, world.truth().joint_names)
        self._grasp = grasp_pose(self._coder.modality)
        self._order = [self._coder.modality.entries.index(n) for n in world.truth().joint_names]
        self._chunk: ActionChunk | None = None
        self._step, self._dt_ns = 0, round(1e9 / world.control_hz)

    def act(self, world: World) -> Action:
        place, chunk = self._step % self._folder.replan_steps, self._chunk
        if place == 0 or chunk is None:
            chunk = self._chunk = self._opened.policy.act(self._observe(world))
        self._step += 1
        place = min(place, len(chunk.delta_ee) - 1)
        joints = self._coder.decode(chunk.hand[place])[self._order]
        delta = chunk.delta_ee[place].astype(np.float64)
        if self._grasp is not None:
            delta = ee_delta(delta, world.truth().T_base_ee, self._grasp)
        return Action(delta, joints.astype(np.float64))

    def _observe(self, world: World) -> Observation:
        stamp_ns = self._step * self._dt_ns
        frames = {
            camera.name: Frame(world.render(camera.name, _DRAWN_SIDE, _DRAWN_SIDE), stamp_ns)
            for camera in self._opened.spec.cameras
        }
        T_base_ee = world.truth().T_base_ee
        ee = ee_vector(T_base_ee if self._grasp is None else T_base_ee @ self._grasp)
        return Observation(stamp_ns, frames, {"ee": ee}, world.instruction)


def coder_of(space: HandSpace, joints: tuple[str, ...]) -> Coder:
    """Of the hand with these joints."""
    for coder in space.coders.values():
        if set(coder.modality.entries) == set(joints):
            return coder
    raise UserError(
        f"no hand of the space '{space.latent.name}' has the joints {', '.join(joints)}; it knows "
        f"{', '.join(space.coders)}"
    )
