"""What a task is: one episode's scene, words, success test and expert."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

import numpy as np

if TYPE_CHECKING:
    from lam_sim.interface import Expert, Truth
    from lam_sim.table.effectors import Grasper
    from lam_sim.table.scene import Scene


class Task(Protocol):
    """One episode, drawn by `sample`: every random choice is made there and kept.

    The names of the bodies and scalars it adds to a scene are the same for every draw. Its expert
    knows nothing of the draw but what truth tells, so that it can stand across a network.
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

    def expert(self, effector: Grasper, rng: np.random.Generator) -> Expert:
        """A fresh scripted expert for this episode."""
        ...
