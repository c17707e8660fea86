"""One episode of a world with an actor: who decides, who disturbs, who watches, when it ends."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lam_models.types import Action
from lam_sim.interface import World
from lam_sim.rollouts.actors import Actor, make_actor
from lam_sim.rollouts.policy_actor import PolicyFolder
from lam_sim.worlds import EpisodeJob, WorldChoice, kind_named


@dataclass(frozen=True)
class Outcome:
    """How an episode went. duration_s: simulated time to success or to the time limit."""

    seed: int
    instruction: str
    success: bool
    duration_s: float


class Purpose(enum.IntEnum):
    """What episodes are for: a policy is never evaluated on scenes it was trained on."""

    DATA = 1
    EVALUATION = 2


class Watcher:
    """Sees every step of an episode; this one looks away."""

    def before(self, world: World, action: Action) -> None:
        """The world as the actor saw it, and the action it chose."""

    def after(self, world: World, success: bool) -> None:
        """The world one control period later."""


def run_episode(
    world: World,
    actor: Actor,
    seed: int,
    time_limit_s: float,
    watcher: Watcher | None = None,
    disturb: Callable[[Action], Action] | None = None,
) -> Outcome:
    """Reset the world to `seed` and let the actor act until success or the time limit.

    disturb: what is executed in place of the chosen action; the watcher sees the chosen one.
    """
    watcher = watcher or Watcher()
    world.reset(seed)
    actor.begin(world, seed)
    steps, success = 0, False
    limit = round(time_limit_s * world.control_hz)
    while not success and steps < limit:
        action = actor.act(world)
        watcher.before(world, action)
        world.step(disturb(action) if disturb else action)
        success = world.succeeded()
        watcher.after(world, success)
        steps += 1
    return Outcome(seed, world.instruction, success, steps / world.control_hz)


def episode_seed(seed: int, index: int, purpose: Purpose) -> int:
    """Seed of the index-th episode of a run; other seeds and purposes share no episodes."""
    return int(np.random.SeedSequence([seed, index, purpose]).generate_state(1)[0])


class Stage:
    """Plays episodes of one actor; the world is kept while the choice of world stays the same."""

    def __init__(self, actor: str | PolicyFolder) -> None:
        self._actor = make_actor(actor)
        self._choice: WorldChoice | None = None
        self._world: World | None = None

    def play(
        self,
        job: EpisodeJob,
        watcher: Watcher | None = None,
        disturb: Callable[[Action], Action] | None = None,
    ) -> Outcome:
        """One episode, as `run_episode`."""
        kind = kind_named(job.choice.kind)
        if self._world is None or job.choice != self._choice:
            self.close()
            self._world, self._choice = kind.make(job.choice), job.choice
        limit_s = kind.time_limit_s(job.choice.task)
        return run_episode(self._world, self._actor, job.seed, limit_s, watcher, disturb)

    def close(self) -> None:
        """Free the world."""
        if self._world is not None:
            self._world.close()
            self._world = None
