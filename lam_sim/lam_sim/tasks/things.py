"""Loose objects with their colours and shapes, the ones beside them, and how they are spoken of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lam_sim.table.scene import Scene
from lam_sim.tasks.layout import Point, by_difficulty

SHAPES_ROUND = ("cylinder", "ball")

# Colours that stay apart from each other and from the table at 64 x 64 pixels.
COLORS = ("red", "green", "blue", "yellow", "orange", "purple")

NOUNS = {
    "cube": ("cube", "block"),
    "cylinder": ("cylinder", "can"),
    "ball": ("ball", "sphere"),
    "capsule": ("capsule", "pill"),
    "hexagon": ("hexagon", "hexagonal piece"),
    "bar": ("bar", "brick"),
    "ell": ("ell", "L-shaped piece"),
    "crate": ("crate", "open box"),
}


@dataclass(frozen=True)
class Thing:
    """A loose object. `width_m` is what a grip must fit around."""

    shape: str
    color: str
    width_m: float
    at_m: tuple[float, float]
    yaw_rad: float

    def add_to(self, scene: Scene, name: str) -> None:
        """Put it on the table."""
        position = (*self.at_m, self.width_m / 2)
        scene.add_object(
            name, self.shape, self.color, position, yaw_rad=self.yaw_rad, width_m=self.width_m
        )


@dataclass(frozen=True)
class Kind:
    """What an object looks like, before it has a place."""

    shape: str
    color: str


def pick(rng: np.random.Generator, choices: Sequence[str], but: Sequence[str] = ()) -> str:
    """One of the choices that is not among `but`."""
    left = [choice for choice in choices if choice not in but]
    return left[int(rng.integers(len(left)))]


def other_kinds(
    rng: np.random.Generator, target: Kind, shapes: Sequence[str], count: int, difficulty: float
) -> list[Kind]:
    """Kinds of the objects around a target: never its double, the harder the more like it.

    A confusing one shares the colour or the shape, a plain one neither.
    """
    kinds = []
    for _ in range(count):
        if rng.uniform() >= difficulty:
            kind = Kind(pick(rng, shapes, [target.shape]), pick(rng, COLORS, [target.color]))
        elif rng.uniform() < 0.5:
            kind = Kind(pick(rng, shapes, [target.shape]), target.color)
        else:
            kind = Kind(target.shape, pick(rng, COLORS, [target.color]))
        kinds.append(kind)
    return kinds


def others_present(most: int, difficulty: float) -> int:
    """How many of at most `most` other objects an episode has."""
    return round(by_difficulty(difficulty, 0.0, float(most)))


def place(rng: np.random.Generator, kind: Kind, at_m: Point, width_m: float) -> Thing:
    """A thing of that kind, turned at random by up to 45 degrees; a round one is not turned.

    Thus a grip along its y axis asks for no more than what a camera can see and a wrist turns.
    """
    at = (float(at_m[0]), float(at_m[1]))
    turn = 0.0 if kind.shape in SHAPES_ROUND else np.pi / 4
    return Thing(kind.shape, kind.color, width_m, at, float(rng.uniform(-turn, turn)))


def add_others(scene: Scene, others: Sequence[Thing], most: int) -> None:
    """Add the others as other_0, other_1 ..., and absent bodies for those that are lacking."""
    for index in range(most):
        if index < len(others):
            others[index].add_to(scene, f"other_{index}")
        else:
            scene.add_absent(f"other_{index}")


def refer(rng: np.random.Generator, target: Kind, others: Sequence[Kind]) -> str:
    """Words that single the target out: "red cube", "cube" or "red object" where that is enough."""
    noun = pick(rng, NOUNS[target.shape])
    ways = [f"{target.color} {noun}"] * 2
    if all(other.shape != target.shape for other in others):
        ways.append(noun)
    if all(other.color != target.color for other in others):
        ways.append(f"{target.color} object")
    return pick(rng, ways)
