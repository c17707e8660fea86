"""Where things stand at the start, and how wide a task spreads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

Point = Float64[np.ndarray, "2"]
Points = Float64[np.ndarray, "count 2"]

_TRIES = 2000


@dataclass(frozen=True)
class Region:
    """A rectangle on the table, in the base frame [m]."""

    center_m: tuple[float, float]
    half_m: tuple[float, float]

    def draw(self, rng: np.random.Generator) -> Point:
        """A point of it, evenly distributed."""
        return rng.uniform(-1.0, 1.0, 2) * self.half_m + self.center_m


def by_difficulty(difficulty: float, easy: float, hard: float) -> float:
    """A number between that of the easiest and that of the hardest episode."""
    if not 0.0 <= difficulty <= 1.0:
        raise ValueError(f"difficulty {difficulty} is outside [0, 1]")
    return easy + difficulty * (hard - easy)


def table_region(difficulty: float) -> Region:
    """Where loose things stand: seen by the front camera and well within the arm's reach."""
    return Region(
        (0.50, 0.0),
        (by_difficulty(difficulty, 0.08, 0.11), by_difficulty(difficulty, 0.14, 0.22)),
    )


def scatter(rng: np.random.Generator, region: Region, radii_m: Sequence[float]) -> Points:
    """Centres of discs of those radii in the region, none touching another.

    Discs are placed in their order; where the last ones find no room, all start afresh.
    """
    placed: list[Point] = []
    for _ in range(_TRIES):
        point = region.draw(rng)
        pairs = zip(placed, radii_m, strict=False)
        radius = radii_m[len(placed)]
        if all(float(np.hypot(*(point - other))) > radius + apart for other, apart in pairs):
            placed.append(point)
        elif rng.uniform() < 0.02:
            placed.clear()
        if len(placed) == len(radii_m):
            return np.array(placed)
    raise ValueError(f"discs of radii {list(radii_m)} m do not fit into {region}")
