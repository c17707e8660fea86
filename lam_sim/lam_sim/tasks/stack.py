"""Stack: set the named object on another."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lam_models.geometry import Vector3
from lam_sim.interface import Truth
from lam_sim.table.effectors import Grasper
from lam_sim.table.scene import Scene
from lam_sim.tasks.dwell import Dwell
from lam_sim.tasks.layout import by_difficulty, scatter, table_region
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

_SHAPES = ("cube", "cylinder", "hexagon")
_OTHERS = 2
_SPACE_M = 0.055
_SAYINGS = (
    "stack the {thing} on the {base}",
    "put the {thing} on top of the {base}",
    "place the {thing} on the {base}",
    "set the {thing} down on the {base}",
    "pick up the {thing} and stack it on the {base}",
)


class Stack:
    """The target is to stand on the base, let go of."""

    name: ClassVar[str] = "stack"
    time_limit_s: ClassVar[float] = 12.0

    def __init__(
        self, target: Thing, base: Thing, others: list[Thing], aside_m: float, instruction: str
    ) -> None:
        self.instruction = instruction
        self._target = target
        self._base = base
        self._others = others
        self._aside_m = aside_m
        self._dwell = Dwell(0.2)

    @classmethod
    def sample(cls, rng: np.random.Generator, difficulty: float) -> Stack:
        target = Kind(pick(rng, _SHAPES), pick(rng, COLORS))
        base = other_kinds(rng, target, _SHAPES, 1, difficulty)[0]
        # Objects like one of the two, but neither's double.
        others = [
            kind
            for kind in other_kinds(rng, target, _SHAPES, 2 * _OTHERS, difficulty)
            if kind != base
        ][: others_present(_OTHERS, difficulty)]
        kinds = [target, base, *others]
        points = scatter(rng, table_region(difficulty), [_SPACE_M] * len(kinds))
        widths = [rng.uniform(0.036, 0.04), rng.uniform(0.04, 0.046)]
        widths += [rng.uniform(0.036, 0.046) for _ in others]
        things = [place(rng, *each) for each in zip(kinds, points, widths, strict=True)]
        words = pick(rng, _SAYINGS).format(
            thing=refer(rng, target, [base, *others]), base=refer(rng, base, [target, *others])
        )
        aside_m = by_difficulty(difficulty, 0.02, 0.012)
        return cls(things[0], things[1], things[2:], aside_m, words)

    def build(self, scene: Scene) -> None:
        self._target.add_to(scene, "target")
        self._base.add_to(scene, "base")
        add_others(scene, self._others, _OTHERS)

    def succeeded(self, truth: Truth) -> bool:
        target = truth.bodies["target"][:3, 3]
        away = target - truth.bodies["base"][:3, 3]
        apart_m = (self._target.width_m + self._base.width_m) / 2
        on_top = (
            float(np.hypot(away[0], away[1])) < self._aside_m and abs(away[2] - apart_m) < 0.006
        )
        let_go = float(np.linalg.norm(target - truth.T_base_ee[:3, 3])) > 0.05
        return self._dwell.held(on_top and let_go, truth.time_s)

    def expert(self, effector: Grasper, rng: np.random.Generator) -> PhasedExpert:
        plan = PickAndSet(effector, "target", "base", _on_base, accurate_m=0.006)
        return plan.expert(Mover(effector, drawn_style(rng)))


def _on_base(truth: Truth, half_height_m: float) -> Vector3:
    # Set down with a hair's breadth of air: pressing would push the base away. The base stands
    # on the table, so its centre's height is half its own.
    base = truth.bodies["base"][:3, 3]
    return base + np.array([0.0, 0.0, base[2] + half_height_m + 0.002])
