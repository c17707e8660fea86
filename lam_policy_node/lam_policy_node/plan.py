"""A chunk read by time: the motion and the hand latent that belong to an instant.

Step i of a chunk is spread evenly over [start + i dt, start + (i + 1) dt). A control period takes
whatever share of each step falls into it, so that the sum over all periods is the sum of the steps
at any control rate and however late the chunk came: nothing is sent twice, nothing is made up for.
Parts of a rotation vector are added; over one period they are too small for their order to matter.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from lam_models.types import ActionChunk

NS_PER_S = 1_000_000_000

Delta = Float64[np.ndarray, "6"]


def step_ns(chunk: ActionChunk) -> int:
    """Duration of a step."""
    return round(chunk.dt_s * NS_PER_S)


def end_ns(chunk: ActionChunk) -> int:
    """When the last step is over."""
    return chunk.start_ns + len(chunk.delta_ee) * step_ns(chunk)


def covers(chunk: ActionChunk, at_ns: int) -> bool:
    """Whether a step is under way at `at_ns`."""
    return chunk.start_ns <= at_ns < end_ns(chunk)


def motion_between(chunk: ActionChunk, from_ns: int, to_ns: int) -> Delta:
    """The motion [m, rad] that falls into [from_ns, to_ns); nothing outside the chunk."""
    edges = chunk.start_ns + step_ns(chunk) * np.arange(len(chunk.delta_ee) + 1)
    overlap_ns = np.minimum(edges[1:], to_ns) - np.maximum(edges[:-1], from_ns)
    shares = np.maximum(overlap_ns, 0) / step_ns(chunk)
    return shares @ chunk.delta_ee.astype(np.float64)


def hand_at(chunk: ActionChunk, at_ns: int) -> Float64[np.ndarray, " dim"]:
    """The hand latent of the step under way; of the first or last one outside the chunk."""
    index = (at_ns - chunk.start_ns) // step_ns(chunk)
    return chunk.hand[min(max(index, 0), len(chunk.hand) - 1)].astype(np.float64)
