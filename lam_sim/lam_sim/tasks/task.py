"""What a task is: one episode's scene, words, success test and expert."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

if TYPE_CHECKING:
    from lam_sim.effectors import EndEffector
    from lam_sim.scene import Scene
    from lam_sim.world import Expert, Truth


class Task(Protocol):
    """One episode, drawn by `sample`: every random choice is made there and kept.

    The names of the bodies and scalars it adds to a scene are the same for every draw.
    """

    name: ClassVar[str]
    time_limit_s: ClassVar[float]
    instruction: str

    @classmethod
    def sample(cls, rng: np.random.Generator, difficulty: float) -> Task:
        """A fresh episode; `difficulty` from 0 (easy) to 1, ValueError outside."""
        ...

    def build(self, scene: Scene) -> None:
        """Add this episode's objects to the scene."""
        ...

    def succeeded(self, truth: Truth) -> bool:
        """Whether the goal is reached, to be asked once a control period in order of time."""
        ...

    def expert(self, effector: EndEffector, rng: np.random.Generator) -> Expert:
        """A fresh scripted expert for this episode."""
        ...


class Dwell:
    """True once a condition has held for `hold_s` without a break.

    Counts the truth's own time, so it means the same at any rate at which it is asked.
    """

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._since_s: float | None = None

    def held(self, condition: bool, time_s: float) -> bool:
        """Note the condition at `time_s` [s]; whether it has held long enough by now."""
        if not condition:
            self._since_s = None
            return False
        if self._since_s is None:
            self._since_s = time_s
        return time_s - self._since_s >= self._hold_s - 1e-9
