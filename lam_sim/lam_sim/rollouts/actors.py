"""Who acts in an episode: the scripted expert, and controls that any policy must beat.

An actor sees the whole world here, so that an expert (truth) and a policy (images) fit alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from lam_models.command import unknown
from lam_models.types import Action
from lam_sim.interface import Expert, World, find
from lam_sim.rollouts.policy_actor import PolicyActor, PolicyFolder

ACTORS = {
    "expert": "lam_sim.rollouts.actors:ScriptedExpert",
    "carried": "lam_sim.rollouts.carried:CarriedExpert",
    "noop": "lam_sim.rollouts.actors:Noop",
    "replay": "lam_sim.rollouts.actors:Replay",
}


class Actor(Protocol):
    """Acts in one episode after another."""

    def begin(self, world: World, seed: int) -> None:
        """Prepare for the episode `seed`, into which the world has just been reset."""
        ...

    def act(self, world: World) -> Action: ...


class ScriptedExpert:
    """The task's own scripted demonstrator."""

    def begin(self, world: World, seed: int) -> None:
        self._expert: Expert = world.expert()

    def act(self, world: World) -> Action:
        return self._expert.act(world.truth())


class Noop:
    """Holds still: the hand keeps its first posture. Success shows that a task solves itself."""

    def begin(self, world: World, seed: int) -> None:
        self._hand = np.array(world.truth().joint_positions)

    def act(self, world: World) -> Action:
        return Action(np.zeros(6), self._hand)


class Replay:
    """Repeats the expert's actions of another episode blindly, then holds still.

    Success shows that a task can be solved without looking.
    """

    # Far beyond any expert's episode, a bound all the same.
    _LONGEST_S = 30.0

    def begin(self, world: World, seed: int) -> None:
        other = int(np.random.default_rng([seed, 7]).integers(2**32))
        world.reset(other)
        expert, self._actions = world.expert(), list[Action]()
        while not world.succeeded() and len(self._actions) < self._LONGEST_S * world.control_hz:
            self._actions.append(expert.act(world.truth()))
            world.step(self._actions[-1])
        world.reset(seed)
        self._step = 0

    def act(self, world: World) -> Action:
        self._step += 1
        if self._step <= len(self._actions):
            return self._actions[self._step - 1]
        return Action(np.zeros(6), self._actions[-1].hand)


def make_actor(choice: str | PolicyFolder) -> Actor:
    """The actor of this name; a path, or a PolicyFolder, is a policy that was trained."""
    if isinstance(choice, str):
        if choice in ACTORS:
            return find("policy", choice, ACTORS)()
        choice = PolicyFolder(choice)
    if "/" not in choice.path and not Path(choice.path).is_dir():
        raise unknown("policy", choice.path, ACTORS)
    return PolicyActor(choice)
