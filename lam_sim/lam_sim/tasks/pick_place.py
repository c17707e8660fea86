"""Pick and place: put the named object into the bowl."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lam_models.geometry import Vector3
from lam_sim.interface import Truth
from lam_sim.table.effectors import Grasper
from lam_sim.table.scene import Scene
from lam_sim.tasks.dwell import Dwell
from lam_sim.tasks.layout import Point, by_difficulty, scatter, table_region
from lam_sim.tasks.motion import Mover, PhasedExpert, drawn_style
from lam_sim.tasks.pick_and_set import PickAndSet
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

SHAPES = ("cube", "cylinder", "ball", "hexagon", "bar", "capsule")
_OTHERS = 3
_SPACE_M = 0.055
_SAYINGS = (
    "put the {thing} into the bowl",
    "put the {thing} in the {bowl} bowl",
    "place the {thing} in the bowl",
    "pick up the {thing} and put it in the bowl",
    "drop the {thing} into the {bowl} bowl",
    "the {thing} belongs in the bowl",
)


class PickPlace:
    """The target is to lie in the bowl, let go of. The bowl shrinks with difficulty."""

    name: ClassVar[str] = "pick_place"
    time_limit_s: ClassVar[float] = 12.0

    def __init__(
        self,
        target: Thing,
        others: list[Thing],
        bowl: tuple[str, Point, float],
        instruction: str,
    ) -> None:
        self.instruction = instruction
        self._target = target
        self._others = others
        self._bowl_color, self._bowl_at_m, self._radius_m = bowl
        self._dwell = Dwell(0.2)

    @classmethod
    def sample(cls, rng: np.random.Generator, difficulty: float) -> PickPlace:
        radius_m = by_difficulty(difficulty, 0.085, 0.065)
        target = Kind(pick(rng, SHAPES), pick(rng, COLORS))
        others = other_kinds(rng, target, SHAPES, others_present(_OTHERS, difficulty), difficulty)
        bowl_color = pick(rng, (*COLORS, "white"), [target.color])
        spaces = [radius_m + 0.03, *[_SPACE_M] * (1 + len(others))]
        bowl_at_m, *points = scatter(rng, table_region(difficulty), spaces)
        things = [
            place(rng, kind, point, float(rng.uniform(0.036, 0.044)))
            for kind, point in zip([target, *others], points, strict=True)
        ]
        words = pick(rng, _SAYINGS).format(thing=refer(rng, target, others), bowl=bowl_color)
        return cls(things[0], things[1:], (bowl_color, bowl_at_m, radius_m), words)

    def build(self, scene: Scene) -> None:
        self._target.add_to(scene, "target")
        x, y = self._bowl_at_m
        scene.add_bowl("bowl", self._bowl_color, (float(x), float(y)), radius_m=self._radius_m)
        add_others(scene, self._others, _OTHERS)

    def succeeded(self, truth: Truth) -> bool:
        target = truth.bodies["target"][:3, 3]
        away = target - truth.bodies["bowl"][:3, 3]
        inside = float(np.hypot(away[0], away[1])) < self._radius_m and away[2] < 0.05
        let_go = float(np.linalg.norm(target - truth.T_base_ee[:3, 3])) > 0.05
        return self._dwell.held(inside and let_go, truth.time_s)

    def expert(self, effector: Grasper, rng: np.random.Generator) -> PhasedExpert:
        plan = PickAndSet(effector, "target", "bowl", _over_bowl, accurate_m=0.02)
        return plan.expert(Mover(effector, drawn_style(rng)))


def _over_bowl(truth: Truth, half_height_m: float) -> Vector3:
    return truth.bodies["bowl"][:3, 3] + np.array([0.0, 0.0, 0.05 + half_height_m])
