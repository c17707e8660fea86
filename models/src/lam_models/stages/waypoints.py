"""Where each frame of a demonstration was heading: the places at which its hand began to move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32

# A hand latent moves where it changes by so much from one row to the next, of a unit sphere.
_LEAST_CHANGE = 0.02
_STILL_ROWS = 3  # Before a motion that counts as a new one.


def next_waypoints(
    positions_m: Float[np.ndarray, "rows 3"],
    hands: Float[np.ndarray, "rows latent"],
    spans: Sequence[tuple[int, int]],
) -> Float32[np.ndarray, "rows 3"]:
    """For each row where the end effector is when its hand next begins to move, else at the end.

    positions_m: of the end effector, base frame. hands: the latents commanded. spans: first row and
    end of each episode.
    """
    out = np.zeros((len(positions_m), 3), np.float32)
    for start, stop in spans:
        moments = _moments(hands[start:stop])
        nexts = np.searchsorted(moments, np.arange(stop - start), side="right")
        out[start:stop] = positions_m[start + moments[np.minimum(nexts, len(moments) - 1)]]
    return out


def _moments(hands: Float[np.ndarray, "rows latent"]) -> np.ndarray:
    """Rows at which the hand begins to move after a rest, then the last row."""
    moving = np.linalg.norm(np.diff(hands, axis=0, prepend=hands[:1]), axis=1) > _LEAST_CHANGE
    begins = [
        row
        for row in np.flatnonzero(moving)
        if row >= _STILL_ROWS and not moving[row - _STILL_ROWS : row].any()
    ]
    last = len(hands) - 1
    return np.array([row for row in begins if row < last] + [last])
