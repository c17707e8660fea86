"""One episode of a world with an actor: who decides, who disturbs, who watches, when it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lam_models.types import Action
from lam_sim.actors import Actor
from lam_sim.interface import World


@dataclass(frozen=True)
class Outcome:
    """How an episode went. duration_s: simulated time to success or to the time limit."""

    seed: int
    instruction: str
    success: bool
    duration_s: float


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
    disturb: Callable[[Action], Action] | None = None,
    watcher: Watcher | None = None,
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


def episode_seed(seed: int, index: int) -> int:
    """The seed of the index-th episode of a run: runs of different seeds share no episodes.

    At most 62 bits, to fit the signed integers of messages.
    """
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0] >> 2)
