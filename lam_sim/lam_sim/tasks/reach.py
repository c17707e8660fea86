"""Reach: hold the hand over the named object."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lam_models.geometry import Vector3
from lam_sim.interface import Truth
from lam_sim.table.effectors import Grasper
from lam_sim.table.scene import Scene
from lam_sim.tasks.dwell import Dwell
from lam_sim.tasks.layout import by_difficulty, scatter, table_region
from lam_sim.tasks.motion import Aim, Mover, Phase, PhasedExpert, drawn_style
from lam_sim.tasks.things import (
    COLORS,
    Kind,
    Thing,
    add_others,
    other_kinds,
    others_present,
    pick,
    place,
    refer,
)

_SHAPES = ("cube", "cylinder", "ball", "hexagon")
_WIDTH_M = 0.045
_OTHERS = 4
_HOVER_M = np.array([0.0, 0.0, 0.07])
_SAYINGS = (
    "reach for the {thing}",
    "move the hand over the {thing}",
    "go to the {thing}",
    "hover above the {thing}",
    "point at the {thing}",
)


class Reach:
    """The grasp point is to be within `tolerance_m` of 7 cm above the target's centre."""

    name: ClassVar[str] = "reach"
    time_limit_s: ClassVar[float] = 5.0

    def __init__(
        self, target: Thing, others: list[Thing], tolerance_m: float, instruction: str
    ) -> None:
        self.instruction = instruction
        self._target = target
        self._others = others
        self._tolerance_m = tolerance_m
        self._dwell = Dwell(0.1)

    @classmethod
    def sample(cls, rng: np.random.Generator, difficulty: float) -> Reach:
        target = Kind(pick(rng, _SHAPES), pick(rng, COLORS))
        # At least one other, or the words would not matter.
        count = max(1, others_present(_OTHERS, difficulty))
        others = other_kinds(rng, target, _SHAPES, count, difficulty)
        points = scatter(rng, table_region(difficulty), [0.045] * (1 + count))
        things = [
            place(rng, kind, point, _WIDTH_M)
            for kind, point in zip([target, *others], points, strict=True)
        ]
        words = pick(rng, _SAYINGS).format(thing=refer(rng, target, others))
        return cls(things[0], things[1:], by_difficulty(difficulty, 0.035, 0.02), words)

    def build(self, scene: Scene) -> None:
        self._target.add_to(scene, "target")
        add_others(scene, self._others, _OTHERS)

    def succeeded(self, truth: Truth) -> bool:
        aside = np.linalg.norm(truth.T_base_ee[:3, 3] - _above(truth))
        return self._dwell.held(bool(aside < self._tolerance_m), truth.time_s)

    def expert(self, effector: Grasper, rng: np.random.Generator) -> PhasedExpert:
        def over_target(truth: Truth) -> Aim:
            return Aim(_above(truth), 0.0, effector.max_aperture_m)

        hover = Phase("hover", over_target, done=lambda truth: False)
        return PhasedExpert([hover], Mover(effector, drawn_style(rng)))


def _above(truth: Truth) -> Vector3:
    return truth.bodies["target"][:3, 3] + _HOVER_M
