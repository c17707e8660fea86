"""What bench/hands.py compares: ways to carry a pose from one hand to another.

METHODS names them; each is made of one seed's people and kept in a folder, so that to make it again
is to open it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from hand_people import People

from lam_models.hands.space import HandSpace, open_space


class Method(Protocol):
    """Poses are vectors of hands, as in lam_models.hands.space."""

    def transfer(self, source: str, target: str, vectors: np.ndarray) -> np.ndarray:
        """What the target does when the source does this, within its limits."""
        ...

    def likeness(
        self, source: str, target: str, vectors: np.ndarray, gallery: np.ndarray
    ) -> np.ndarray:
        """How like each pose of the source is to each of the target's [poses, gallery]."""
        ...


@runtime_checkable
class Coded(Protocol):
    """A method with latents. What one lacks is NaN."""

    def encode(self, name: str, vectors: np.ndarray) -> np.ndarray: ...

    def decode(self, name: str, latents: np.ndarray) -> np.ndarray: ...

    def transfer(self, source: str, target: str, vectors: np.ndarray) -> np.ndarray: ...

    def likeness(
        self, source: str, target: str, vectors: np.ndarray, gallery: np.ndarray
    ) -> np.ndarray: ...


@dataclass(frozen=True)
class Making:
    """What a method is made of. folder: its own. quick: a few steps only."""

    people: People
    folder: Path
    seed: int
    quick: bool


@dataclass(frozen=True)
class SpaceMethod:
    """A space of ours, likeness being the cosine."""

    space: HandSpace

    def encode(self, name: str, vectors: np.ndarray) -> np.ndarray:
        return self.space.coder(name).encode(vectors)

    def decode(self, name: str, latents: np.ndarray) -> np.ndarray:
        return self.space.coder(name).decode(latents)

    def transfer(self, source: str, target: str, vectors: np.ndarray) -> np.ndarray:
        return self.decode(target, self.encode(source, vectors))

    def likeness(
        self, source: str, target: str, vectors: np.ndarray, gallery: np.ndarray
    ) -> np.ndarray:
        return self.encode(source, vectors) @ self.encode(target, gallery).T


def trained(recipe: str) -> Callable[[Making], Method]:
    """A space trained by one of lad.py's recipes."""

    def make(making: Making) -> Method:
        path = making.folder / "space"
        if not path.exists():
            _train(making, recipe, path)
        return SpaceMethod(open_space(path))

    return make


def _train(making: Making, recipe: str, path: Path) -> None:
    from lam_models.checkpoint import origin_now
    from lam_models.hands.space import save_space
    from lam_models.stages.hand_space import Task, train_space
    from lam_models.systems.lad import RECIPES

    people, config = making.people, RECIPES[recipe]
    if making.quick:
        config = dataclasses.replace(config, align_steps=60, steps=120, batch_size=64)
    task = Task(
        hands=list(people.specs.values()),
        pairs=people.train,
        held_out=people.validation,
        config=config,
        folder=making.folder / "training",
        seed=making.seed,
        resume=True,
    )
    fitted = train_space(task, f"hand/{recipe}")
    origin = origin_now("", f"bench/hands.py, {recipe}, seed {making.seed}", fitted.metrics)
    save_space(path, fitted.space, origin)


def _slots(making: Making) -> Method:
    from hand_slots import NamedSlots

    return NamedSlots(making.people)


def _retargeting(making: Making) -> Method:
    from hand_retargeting import Retargeting

    return Retargeting(making.people)


def _nearest(making: Making) -> Method:
    from hand_nearest import Nearest

    return Nearest(making.people)


def _dexlatent(making: Making) -> Method:
    from hand_dexlatent import open_or_train

    return open_or_train(making.people, making.folder, making.seed, making.quick)


OURS = "cross"
RECIPE_NAMES = (
    "lad",
    "lad_constant_temperature",
    "lad_fixed_encoders",
)
METHODS: Mapping[str, Callable[[Making], Method]] = {
    OURS: trained(OURS),
    "IK": _retargeting,
    "named slots": _slots,
    "nearest neighbour": _nearest,
    "DexLatent": _dexlatent,
    **{name: trained(name) for name in RECIPE_NAMES},
}
