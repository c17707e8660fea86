"""What a check says about a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Shaped

Severity = Literal["fault", "note"]
_LISTED = 12


@dataclass(frozen=True)
class Strip:
    """Frames of a camera to show side by side, each as (episode, frame)."""

    camera: str
    frames: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Curve:
    """Lines over the same x; `marks` are the places on x that matter."""

    title: str
    x_label: str
    x: Shaped[np.ndarray, " points"]
    lines: Mapping[str, Shaped[np.ndarray, " points"]]
    marks: tuple[float, ...] = ()


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    fault: training on it goes wrong. note: somebody should look at it.
    name: a few words, the same for every finding of its kind. episodes: () for all of them.
    said: the evidence, in a sentence. cure: what to do.
    """

    name: str
    said: str
    cure: str
    episodes: tuple[int, ...] = ()
    severity: Severity = "fault"
    shows: Strip | Curve | None = None


def listed(episodes: Sequence[int], of: int | None = None) -> str:
    """ "episode 3", "episodes 1, 2 and 5", "all 20 episodes"; the first dozen of many."""
    if of is not None and len(episodes) == of and of > 1:
        return f"all {of} episodes"
    names = [str(episode) for episode in episodes]
    if len(names) == 1:
        return f"episode {names[0]}"
    if len(names) > _LISTED:
        return f"{len(names)} episodes ({', '.join(names[:_LISTED])}, ...)"
    return f"episodes {', '.join(names[:-1])} and {names[-1]}"
