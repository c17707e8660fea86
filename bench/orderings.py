"""Claims of the form "this is better than that", judged over seeds.

Each claim gives one margin a seed, above 0 where it holds. A 95 % interval (Student's t) of the
mean margin that lies above 0 says that the claim holds, one below 0 that it does not, and one that
contains 0 that these seeds cannot tell.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from report import Row

# Two-sided 95 % quantiles by the number of seeds.
_STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}


@dataclass(frozen=True)
class Ordering:
    """`margin(rows of one seed)` is above 0 where the claim holds there."""

    claim: str
    margin: Callable[[list[Row]], float]


def judge_ordering(ordering: Ordering, rows: Sequence[Row], seeds: Sequence[int]) -> Row:
    """The claim's row: margins by seed, their mean with its interval, and the verdict."""
    margins = [ordering.margin([row for row in rows if row["seed"] == seed]) for seed in seeds]
    mean = statistics.mean(margins)
    half = math.inf
    if len(margins) > 1:
        error = statistics.stdev(margins) / math.sqrt(len(margins))
        half = _STUDENT[len(margins)] * error
    holds, fails = mean - half > 0, mean + half < 0
    return {
        "claim": ordering.claim,
        "by seed": ", ".join(f"{margin:+.3f}" for margin in margins),
        "margin": mean,
        "low": mean - half,
        "high": mean + half,
        "verdict": "holds" if holds else "does not hold" if fails else "undecided",
    }
