"""Push to zone: slide the named object into the named zone with nearly closed fingers."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np

from lam_sim.interface import Truth
from lam_sim.table.effectors import Grasper
from lam_sim.table.scene import Scene
from lam_sim.tasks.dwell import Dwell
from lam_sim.tasks.layout import Point, Region, by_difficulty, scatter
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

_SHAPES = ("cube", "cylinder", "hexagon")
_WIDTH_M = 0.046
_OTHERS = 2
_SPACE_M = 0.055
_FINGERS_M = 0.03  # apart: touched at two points, a thing does not turn away
_CONTACT_M = 0.016  # from between the fingers to their front, about
_LOST_M = 0.025  # this far aside, the hand slides past
_STEER = 0.7  # how much farther than onto the line it goes back
_TRIES = 1000
_SAYINGS = (
    "push the {thing} into the {zone} zone",
    "slide the {thing} onto the {zone} circle",
    "move the {thing} to the {zone} area",
    "push the {thing} to the {zone} spot",
    "get the {thing} onto the {zone} zone without lifting it",
)


class PushToZone:
    """The target's centre is to rest within the zone; another zone of another colour is beside."""

    name: ClassVar[str] = "push_to_zone"
    time_limit_s: ClassVar[float] = 10.0

    def __init__(
        self,
        target: Thing,
        others: list[Thing],
        zones: dict[str, tuple[str, Point]],
        radius_m: float,
        instruction: str,
    ) -> None:
        self.instruction = instruction
        self._target = target
        self._others = others
        self._zones = zones
        self._radius_m = radius_m
        self._dwell = Dwell(0.15)

    @classmethod
    def sample(cls, rng: np.random.Generator, difficulty: float) -> PushToZone:
        radius_m = by_difficulty(difficulty, 0.07, 0.05)
        target = Kind(pick(rng, _SHAPES), pick(rng, COLORS))
        others = other_kinds(rng, target, _SHAPES, others_present(_OTHERS, difficulty), difficulty)
        color = pick(rng, COLORS, [target.color])
        zones = (color, pick(rng, COLORS, [color, target.color]))
        start, goal, wrong, *rest = _free_way(rng, difficulty, radius_m, len(others))
        things = [
            place(rng, kind, point, _WIDTH_M)
            for kind, point in zip([target, *others], [start, *rest], strict=True)
        ]
        words = pick(rng, _SAYINGS).format(thing=refer(rng, target, others), zone=color)
        named = {"goal": (zones[0], goal), "other_zone": (zones[1], wrong)}
        return cls(things[0], things[1:], named, radius_m, words)

    def build(self, scene: Scene) -> None:
        self._target.add_to(scene, "target")
        for name, (color, center_m) in self._zones.items():
            scene.add_zone(name, color, (float(center_m[0]), float(center_m[1])), self._radius_m)
        add_others(scene, self._others, _OTHERS)

    def succeeded(self, truth: Truth) -> bool:
        inside = _left_m(truth) < self._radius_m - 0.015
        on_table = truth.bodies["target"][2, 3] < _WIDTH_M / 2 + 0.005
        return self._dwell.held(inside and on_table, truth.time_s)

    def expert(self, effector: Grasper, rng: np.random.Generator) -> PhasedExpert:
        plan = _Pusher(effector)
        return PhasedExpert(
            [
                Phase("behind it", plan.behind, plan.is_behind),
                Phase("push", plan.push, lambda truth: _left_m(truth) < 0.008, lost=plan.is_lost),
                Phase("away", plan.away, lambda truth: False, within_s=1.0),
            ],
            Mover(effector, drawn_style(rng, 0.4)),
        )


class _Pusher:
    """Stays behind the target as seen from the goal, and goes on through it."""

    def __init__(self, effector: Grasper) -> None:
        self._height_m = effector.tip_reach_m + 0.01

    def behind(self, truth: Truth) -> Aim:
        return self._aim(truth, -0.02, arch_m=0.09)

    def is_behind(self, truth: Truth) -> bool:
        away = truth.T_base_ee[:3, 3] - self.behind(truth).position
        return float(np.linalg.norm(away)) < 0.012

    def push(self, truth: Truth) -> Aim:
        # Slower as less is left, and where it has slid aside: first back behind it, then on.
        aside_m = _aside(truth)
        ahead_m = min(0.05, 0.015 + _left_m(truth)) * (1.0 - min(1.0, abs(aside_m) / _LOST_M))
        aim = self._aim(truth, ahead_m, arch_m=0.0)
        along, _ = _direction(truth)
        across = np.array([along[1], -along[0], 0.0])
        return replace(aim, position=aim.position - _STEER * aside_m * across)

    def is_lost(self, truth: Truth) -> bool:
        """Whether the hand is beside the target instead of behind it."""
        along, _ = _direction(truth)
        away = (truth.T_base_ee[:3, 3] - truth.bodies["target"][:3, 3])[:2]
        return bool(away @ along > 0.0) or abs(_aside(truth)) > _LOST_M

    def away(self, truth: Truth) -> Aim:
        here = truth.T_base_ee[:3, 3] + np.array([0.0, 0.0, 0.05])
        return Aim(here, _yaw(truth), _FINGERS_M)

    def _aim(self, truth: Truth, ahead_m: float, arch_m: float) -> Aim:
        """Behind contact with the target by -`ahead_m`, on the line from the goal through it."""
        along, _ = _direction(truth)
        position = truth.bodies["target"][:3, 3].copy()
        position[:2] += (ahead_m - _WIDTH_M / 2 - _CONTACT_M) * along
        position[2] = self._height_m
        return Aim(position, _yaw(truth), _FINGERS_M, arch_m)


def _left_m(truth: Truth) -> float:
    """How far the target's centre is from the goal's."""
    return _direction(truth)[1]


def _direction(truth: Truth) -> tuple[Point, float]:
    way = (truth.bodies["goal"][:3, 3] - truth.bodies["target"][:3, 3])[:2]
    left_m = float(np.linalg.norm(way))
    return way / max(left_m, 1e-6), left_m


def _aside(truth: Truth) -> float:
    """How far [m] the hand is to the right of the line from the target to the goal."""
    along, _ = _direction(truth)
    away = truth.T_base_ee[:3, 3] - truth.bodies["target"][:3, 3]
    return float(away[0] * along[1] - away[1] * along[0])


def _yaw(truth: Truth) -> float:
    """The hand's x axis along the way: seen from there fingers stand upright, however they bend."""
    along, _ = _direction(truth)
    return float(np.arctan2(along[1], along[0]))


def _free_way(
    rng: np.random.Generator, difficulty: float, radius_m: float, others: int
) -> list[Point]:
    """Places of the target, the goal, the other zone and the others, off the way of the push.

    The way goes away from the robot or sideways: a wrist need not turn by more than 90 degrees.
    """
    half_y = by_difficulty(difficulty, 0.14, 0.2)
    region = Region((0.49, 0.0), (by_difficulty(difficulty, 0.08, 0.11), half_y))
    longest_m = by_difficulty(difficulty, 0.16, 0.24)
    for _ in range(_TRIES):
        spaces = [_SPACE_M, radius_m, radius_m, *[_SPACE_M] * others]
        points = scatter(rng, region, spaces)
        start, goal = points[0], points[1]
        way = goal - start
        length_m = float(np.linalg.norm(way))
        if not radius_m + 0.05 < length_m < longest_m or way[0] < 0.0:
            continue
        begin = start - way / length_m * 0.09
        if all(_off_way_m(point, begin, goal) > 0.085 for point in points[3:]):
            return list(points)
    raise ValueError(f"found no free way to push along in {region}")


def _off_way_m(point: Point, begin: Point, end: Point) -> float:
    """Distance of a point from the stretch between two."""
    way = end - begin
    at = np.clip((point - begin) @ way / (way @ way), 0.0, 1.0)
    return float(np.linalg.norm(point - begin - at * way))
