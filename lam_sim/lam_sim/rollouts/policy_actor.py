"""A policy folder in a world without ROS: for development, and for evaluations in parallel.

It sees what the robot's node would see, made by the same code, and its hand latents are decoded for
whatever hand the world has. There is no time here: an answer is there at once, and serves for
`replan_steps` control periods. `lam launch` runs the same folder through real messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lam_models.checkpoint import Spec
from lam_models.command import UserError
from lam_models.hands.space import Coder, HandSpace, open_space
from lam_models.policy.opening import hand_space, open_policy
from lam_models.types import Action, ActionChunk, Frame, Observation
from lam_sim.interface import World

# As `lam data generate` draws by default; the policy's own size is made of it by area, as live.
_DRAWN_SIDE = 192
_EE_NUMBERS = 6


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
        self._space = _space_of(folder, self._opened.spec)

    def begin(self, world: World, seed: int) -> None:
        if abs(self._opened.spec.rate_hz - world.control_hz) > 1e-6:
            raise UserError(
                f"{self._folder.path} has {self._opened.spec.rate_hz:g} steps a second, the world "
                f"{world.control_hz:g} periods"
            )
        self._coder = _coder_of(self._space, world.truth().joint_names)
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
        return Action(chunk.delta_ee[place].astype(np.float64), joints.astype(np.float64))

    def _observe(self, world: World) -> Observation:
        stamp_ns = self._step * self._dt_ns
        frames = {
            camera.name: Frame(world.render(camera.name, _DRAWN_SIDE, _DRAWN_SIDE), stamp_ns)
            for camera in self._opened.spec.cameras
        }
        ee = world.proprioception()[:_EE_NUMBERS].astype(np.float64)
        return Observation(stamp_ns, frames, {"ee": ee}, world.instruction)


def _space_of(folder: PolicyFolder, spec: Spec) -> HandSpace:
    space, wanted = open_space(folder.space), hand_space(spec)
    if space.latent.space_hash != wanted.space_hash:
        raise UserError(
            f"{folder.path} speaks the hand space {wanted.name} ({wanted.space_hash}), and "
            f"{space.path} is {space.latent.name} ({space.latent.space_hash}): name its folder "
            "with --space"
        )
    return space


def _coder_of(space: HandSpace, joints: tuple[str, ...]) -> Coder:
    """Of the hand with these joints."""
    for coder in space.coders.values():
        if set(coder.modality.entries) == set(joints):
            return coder
    raise UserError(
        f"no hand of the space '{space.latent.name}' has the joints {', '.join(joints)}; it knows "
        f"{', '.join(space.coders)}"
    )
