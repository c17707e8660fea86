"""What each frame of a demonstration was heading for: rows at which its hand arrived and ended.

The first is where the arm slows down for the first time, and then is slowest, or where the hand
closes; while it is neither slow nor closing, a camera still sees what it goes for. The last is
where the hand moves again, as to let go, or the end. While a hand moves, the arm rests: it is where
it is on the mean of these rows, for from row to row arms tremble.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

# A hand latent moves where it changes by so much from one row to the next, of a unit sphere: one
# that was recorded, and one that was read from video and never stands quite still.
LEAST_CHANGE, LEAST_CHANGE_READ = 0.02, 0.15
_STILL_ROWS = 3  # Before a motion that counts as a new one.
_SOON_ROWS = 20  # After the arm slows down: what the hand does then, it came for.
_CLOSED_ROWS = 2  # After its fingers stop, a hand has not left yet.
# Of an episode's nearly greatest speed: so fast it was under way, so slow it has arrived.
_UNDER_WAY, _ARRIVED = 0.6, 0.35


@dataclass(frozen=True)
class Waypoints:
    """For each row, the rows at which its episode comes to its first and its last waypoint.

    ends: the last rows there. known: whether they lie ahead; the first one, once passed, is nothing
        to be told any more.
    """

    rows: Int64[np.ndarray, "rows 2"]
    ends: Int64[np.ndarray, "rows 2"]
    known: Bool[np.ndarray, "rows 2"]


def find_waypoints(
    steps_m: Float[np.ndarray, "rows 3"],
    hands: Float[np.ndarray, "rows latent"],
    spans: Sequence[tuple[int, int]],
    least_change: float = LEAST_CHANGE,
) -> Waypoints:
    """steps_m: commanded from each row to the next. hands: the latents commanded.

    spans: first row and end of each episode. least_change: of a hand that moves, from row to row.
    """
    rows, ends = np.zeros((2, len(steps_m), 2), np.int64)
    known = np.ones((len(steps_m), 2), bool)
    for start, stop in spans:
        moments = _moments(hands[start:stop], least_change)
        slow, arrived = _arrival(np.linalg.norm(steps_m[start:stop], axis=1))
        first = min([slow, *(begin for begin, _ in moments)])
        end = stop - start - 1
        last = moments[-1] if len(moments) > 1 else (end, end)
        place = arrived, arrived
        if moments and moments[0][0] < slow + _SOON_ROWS:
            # While it closes, the hand still comes nearer.
            place = moments[0][0] + 1, moments[0][1] + _CLOSED_ROWS
        rows[start:stop] = start + min(place[0], last[0]), start + last[0]
        ends[start:stop] = start + min(place[1], last[0]), start + last[1]
        known[start + first + 1 : stop, 0] = False
    return Waypoints(rows, ends, known)


def _arrival(speeds: Float[np.ndarray, " rows"]) -> tuple[int, int]:
    """The first row that is slow after a fast one, and the slowest before it speeds up again."""
    smooth = np.convolve(speeds, np.full(3, 1 / 3), "same")
    top = np.quantile(smooth, 0.9)
    was_fast = np.maximum.accumulate(smooth) > _UNDER_WAY * top
    slow = np.flatnonzero(was_fast & (smooth < _ARRIVED * top))
    if not len(slow):
        return len(speeds) - 1, len(speeds) - 1
    slower = np.diff(smooth[slow[0] :], append=np.inf) < 0.0
    return int(slow[0]), int(slow[0] + np.argmin(slower))


def _moments(hands: Float[np.ndarray, "rows latent"], least_change: float) -> list[tuple[int, int]]:
    """First and last row of each motion of the hand after a rest."""
    moving = np.linalg.norm(np.diff(hands, axis=0, prepend=hands[:1]), axis=1) > least_change
    begins = [
        int(row)
        for row in np.flatnonzero(moving)
        if row >= _STILL_ROWS and not moving[row - _STILL_ROWS : row].any()
    ]
    return [(row, row + int(np.argmin([*moving[row:], False])) - 1) for row in begins]
