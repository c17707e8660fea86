"""How sure a measured success rate is."""

from __future__ import annotations

import math

_Z_95 = 1.959963984540054


def wilson_interval(successes: int, trials: int, z: float = _Z_95) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927), 95 % by default.

    Unlike the normal approximation it stays within [0, 1] and is honest at 0 and at all successes.
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes of {trials} trials is no proportion")
    rate, z2 = successes / trials, z * z
    centre = rate + z2 / (2 * trials)
    half = z * math.sqrt(rate * (1 - rate) / trials + z2 / (4 * trials * trials))
    scale = 1 + z2 / trials
    # Where nothing or everything succeeded the bound is exact; rounding must not say otherwise.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == trials else (centre + half) / scale
    return low, high
