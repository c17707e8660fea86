"""Place the ell: what pick and place has not shown, a pink L-shaped piece among known things.

No other task has its colour, its shape or these words, so that a policy which learnt the others has
never met them; the motion is the same. Known things stand beside it at every difficulty: who does
not know which one is meant takes the right one by chance only.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lam_sim.tasks.layout import by_difficulty, scatter, table_region
from lam_sim.tasks.pick_place import SHAPES, PickPlace
from lam_sim.tasks.things import COLORS, Kind, other_kinds, pick, place, refer

_TARGET = Kind("ell", "pink")
_OTHERS = 3
_SPACE_M = 0.05
# Of the region that tasks spread things over: five do not fit into the smallest one.
_LEAST_SPREAD = 0.5
_SAYINGS = (
    "tidy the {thing} away into the bowl",
    "tidy away the {thing}",
    "the {thing} goes into the {bowl} bowl",
    "pick up the {thing} and drop it in the {bowl} bowl",
)


class PlaceEll(PickPlace):
    """The ell is to lie in the bowl, let go of. The bowl shrinks with difficulty."""

    name: ClassVar[str] = "place_ell"

    @classmethod
    def sample(cls, rng: np.random.Generator, difficulty: float) -> PlaceEll:
        radius_m = by_difficulty(difficulty, 0.075, 0.065)
        others = other_kinds(rng, _TARGET, SHAPES, _OTHERS, 0.0)
        bowl_color = pick(rng, COLORS)
        spaces = [radius_m + 0.03, *[_SPACE_M] * (1 + _OTHERS)]
        spread = by_difficulty(difficulty, _LEAST_SPREAD, 1.0)
        bowl_at_m, *points = scatter(rng, table_region(spread), spaces)
        things = [
            place(rng, kind, point, float(rng.uniform(0.036, 0.044)))
            for kind, point in zip([_TARGET, *others], points, strict=True)
        ]
        words = pick(rng, _SAYINGS).format(thing=refer(rng, _TARGET, others), bowl=bowl_color)
        return cls(things[0], things[1:], (bowl_color, bowl_at_m, radius_m), words)
