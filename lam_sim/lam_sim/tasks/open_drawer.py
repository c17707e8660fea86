"""Open the drawer: pull the named one of two by its handle."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lam_models.geometry import Vector3
from lam_sim.interface import Truth
from lam_sim.table.effectors import Grasper
from lam_sim.table.scene import Scene
from lam_sim.tasks.dwell import Dwell
from lam_sim.tasks.layout import Point, by_difficulty
from lam_sim.tasks.motion import Aim, Mover, Phase, PhasedExpert, drawn_style, reached
from lam_sim.tasks.things import COLORS, pick

_OTHER_SHUT_M = 0.03
_SIDES = ("left", "right")
_SAYINGS = (
    "open the {color} drawer",
    "pull the {color} drawer open",
    "slide the {color} drawer out",
    "open the {side} drawer",
    "open the {side} drawer, the {color} one",
    "pull the handle of the {color} drawer",
)


class OpenDrawer:
    """The named drawer is to be open by `opening_m`, the other to stay shut.

    Both look away from the robot, toward the front camera: their colours are seen while shut.
    """

    name: ClassVar[str] = "open_drawer"
    time_limit_s: ClassVar[float] = 8.0

    def __init__(
        self,
        colors: dict[str, str],
        places: dict[str, tuple[Point, float]],
        opening_m: float,
        instruction: str,
    ) -> None:
        self.instruction = instruction
        self._colors = colors
        self._places = places
        self._opening_m = opening_m
        self._dwell = Dwell(0.1)

    @classmethod
    def sample(cls, rng: np.random.Generator, difficulty: float) -> OpenDrawer:
        color = pick(rng, COLORS)
        colors = {"drawer": color, "other_drawer": pick(rng, COLORS, [color])}
        # Left as the robot sees it: its +y.
        side = pick(rng, _SIDES)
        sign = 1.0 if side == "left" else -1.0
        spread_m = by_difficulty(difficulty, 0.01, 0.03)
        turn_rad = by_difficulty(difficulty, 0.05, 0.2)
        middle_m = rng.uniform(-spread_m, spread_m)
        places = {}
        for name, y_m in (("drawer", 0.15 * sign), ("other_drawer", -0.15 * sign)):
            at = np.array([0.33 + rng.uniform(-spread_m, spread_m), y_m + middle_m])
            places[name] = (at, np.pi + rng.uniform(-turn_rad, turn_rad))
        words = pick(rng, _SAYINGS).format(color=color, side=side)
        return cls(colors, places, by_difficulty(difficulty, 0.08, 0.12), words)

    def build(self, scene: Scene) -> None:
        for name, (at_m, yaw_rad) in self._places.items():
            center_m = (float(at_m[0]), float(at_m[1]))
            scene.add_drawer(name, self._colors[name], center_m, yaw_rad=yaw_rad)

    def succeeded(self, truth: Truth) -> bool:
        opened = truth.scalars["drawer.opening_m"] > self._opening_m
        shut = truth.scalars["other_drawer.opening_m"] < _OTHER_SHUT_M
        return self._dwell.held(opened and shut, truth.time_s)

    def expert(self, effector: Grasper, rng: np.random.Generator) -> PhasedExpert:
        plan = _Puller(effector)
        return PhasedExpert(
            [
                Phase("over it", plan.over, plan.is_over),
                Phase("close", plan.close, lambda truth: True, at_least_s=0.25),
                Phase("pull", plan.pull, lambda truth: False, lost=plan.is_lost),
            ],
            Mover(effector, drawn_style(rng)),
        )


class _Puller:
    """Closes around the bar from above and goes out with it."""

    def __init__(self, effector: Grasper) -> None:
        self._open_m = min(0.05, effector.max_aperture_m)

    def over(self, truth: Truth) -> Aim:
        return self._aim(truth, 0.0, self._open_m, arch_m=0.07)

    def is_over(self, truth: Truth) -> bool:
        return reached(truth, _handle(truth), 0.008)

    def close(self, truth: Truth) -> Aim:
        return self._aim(truth, 0.0, 0.0, arch_m=0.0)

    def pull(self, truth: Truth) -> Aim:
        return self._aim(truth, 0.05, 0.0, arch_m=0.0)

    def is_lost(self, truth: Truth) -> bool:
        return not reached(truth, _handle(truth), 0.04)

    def _aim(self, truth: Truth, ahead_m: float, aperture_m: float, arch_m: float) -> Aim:
        out = _outward(truth)
        yaw = float(np.arctan2(out[1], out[0])) - np.pi / 2
        return Aim(_handle(truth) + ahead_m * out, yaw, aperture_m, arch_m)


def _handle(truth: Truth) -> Vector3:
    return truth.bodies["drawer_handle"][:3, 3]


def _outward(truth: Truth) -> Vector3:
    """Which way the drawer opens."""
    return -truth.bodies["drawer"][:3, 0]
