"""Place the crate: what pick and place has not shown, a pink crate beside known things.

No other task has its colour, its shape or these words, so that a policy which learnt the others has
never met them; the motion is the same. Two known things stand beside it at every difficulty: who
does not know which one is meant finds it one time in three.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from lam_sim.tasks.layout import by_difficulty, scatter, table_region
from lam_sim.tasks.pick_place import SHAPES, PickPlace
from lam_sim.tasks.things import COLORS, Kind, other_kinds, pick, place, refer

_TARGET = Kind("crate", "pink")
_OTHERS = 2
_SPACE_M = 0.045
_SAYINGS = (
    "tidy the {thing} away into the bowl",
    "tidy away the {thing}",
    "the {thing} goes into the {bowl} bowl",
    "pick up the {thing} and drop it in the {bowl} bowl",
)


class PlaceCrate(PickPlace):
    """The crate is to lie in the bowl, let go of. The bowl shrinks with difficulty."""

    name: ClassVar[str] = "place_crate"

    @classmethod
    def sample(cls, rng: np.random.Generator, difficulty: float) -> PlaceCrate:
        radius_m = by_difficulty(difficulty, 0.085, 0.065)
        others = other_kinds(rng, _TARGET, SHAPES, _OTHERS, 0.0)
        bowl_color = pick(rng, COLORS)
        spaces = [radius_m + 0.03, *[_SPACE_M] * (1 + _OTHERS)]
        bowl_at_m, *points = scatter(rng, table_region(difficulty), spaces)
        things = [
            place(rng, kind, point, float(rng.uniform(0.036, 0.044)))
            for kind, point in zip([_TARGET, *others], points, strict=True)
        ]
        words = pick(rng, _SAYINGS).format(thing=refer(rng, _TARGET, others), bowl=bowl_color)
        return cls(things[0], things[1:], (bowl_color, bowl_at_m, radius_m), words)
