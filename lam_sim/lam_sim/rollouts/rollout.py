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
    linger_s: float = 0.0,
) -> Outcome:
    """Reset the world to `seed` and let the actor act until success or the time limit.

    disturb: what is executed in place of the chosen action; the watcher sees the chosen one.
    linger_s: how long the actor goes on after a success, which nothing undoes.
    """
    watcher = watcher or Watcher()
    world.reset(seed)
    actor.begin(world, seed)
    step, end, succeeded_after = 0, round(time_limit_s * world.control_hz), 0
    while step < end:
        action = actor.act(world)
        watcher.before(world, action)
        world.step(disturb(action) if disturb else action)
        step += 1
        if not succeeded_after and world.succeeded():
            succeeded_after, end = step, step + round(linger_s * world.control_hz)
        watcher.after(world, succeeded_after > 0)
    duration_s = (succeeded_after or step) / world.control_hz
    return Outcome(seed, world.instruction, succeeded_after > 0, duration_s)


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
        linger_s: float = 0.0,
    ) -> Outcome:
        """One episode, as `run_episode`."""
        kind = kind_named(job.choice.kind)
        if self._world is None or job.choice != self._choice:
            self.close()
            self._world, self._choice = kind.make(job.choice), job.choice
        limit_s = kind.time_limit_s(job.choice.task)
        return run_episode(self._world, self._actor, job.seed, limit_s, watcher, disturb, linger_s)

    def close(self) -> None:
        """Free the world."""
        if self._world is not None:
            self._world.close()
            self._world = None
