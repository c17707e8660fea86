"""Postures of the human hand in words and numbers, the synergies between them, and what a hand
does not do.

The postures are described by us: no recording stands behind them. Their few main directions of
change are the synergies: hands move along a handful of those (M. Santello, M. Flanders,
J. Soechting, "Postural hand synergies for tool use", Journal of Neuroscience 18(23), 1998, for
the idea).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from lam_models.hands.human import FINGERS, Points, within_ranges

# The last joint of a finger follows the one before it through the shared tendon.
DIP_PER_PIP = 2.0 / 3.0
SYNERGIES = 5
_SPREAD = (1.0, 0.1, -0.6, -1.0)  # Of a spread hand: the middle finger stands still.

_HALF_FINGER_M = 0.007  # From a finger's bone to its skin: two fingers' bones keep twice as much.
_BACK_M = 0.012  # How far behind the palm's plane a finger's bone may come.


def posture(
    thumb_deg: tuple[int, ...],
    knuckles_deg: tuple[int, ...],
    bends_deg: tuple[int, ...],
    spread_deg: int = 0,
) -> Float[np.ndarray, "21"]:
    """Angles [rad] of a described posture.

    thumb_deg: flexion, abduction, pronation of its base, then its two hinges.
    knuckles_deg, bends_deg: flexion of the four knuckles and of the joints after them; the last
        joints follow. spread_deg: how far index and little finger lean apart.
    """
    fingers = [
        (knuckle, lean * spread_deg, bend, DIP_PER_PIP * bend)
        for knuckle, bend, lean in zip(knuckles_deg, bends_deg, _SPREAD, strict=True)
    ]
    return np.radians(np.concatenate([thumb_deg, *fingers]))


POSTURES = {
    "flat": posture((-5, -20, 0, 0, 0), (0, 0, 0, 0), (2, 2, 2, 2)),
    "spread": posture((-28, 0, -10, 0, -5), (0, 0, 0, 0), (0, 0, 0, 0), 16),
    "relaxed": posture((0, 0, 5, 15, 15), (25, 30, 35, 38), (30, 35, 38, 38), 2),
    "fist": posture((22, 12, 30, 40, 45), (82, 85, 85, 82), (95, 97, 95, 92)),
    "hook": posture((-8, -15, 0, 10, 10), (8, 8, 10, 12), (85, 88, 86, 82)),
    "point": posture((22, 14, 30, 40, 40), (5, 80, 82, 80), (5, 95, 94, 90)),
    "two": posture((24, 16, 34, 45, 40), (5, 5, 82, 80), (5, 5, 94, 90), 8),
    "thumb up": posture((-28, -8, 0, -5, -10), (80, 82, 82, 80), (94, 95, 94, 90)),
    "table top": posture((5, 15, 25, 10, 5), (72, 75, 75, 72), (6, 6, 6, 6)),
    "key": posture((6, -26, -18, 18, 28), (55, 60, 65, 66), (70, 76, 78, 74)),
    "tripod": posture((12, 16, 28, 25, 20), (52, 52, 68, 74), (38, 42, 66, 70)),
    "around a ball": posture((-6, 24, 22, 12, 20), (22, 20, 22, 26), (42, 44, 42, 40), 12),
    "around a bar": posture((6, 22, 26, 22, 26), (52, 55, 56, 56), (58, 62, 62, 58), 2),
}


def synergies() -> tuple[Float[np.ndarray, "21"], Float[np.ndarray, "synergies 21"]]:
    """The mean posture and the orthonormal main directions of change among the postures."""
    table = np.stack(list(POSTURES.values()))
    mean = table.mean(axis=0)
    return mean, np.linalg.svd(table - mean)[2][:SYNERGIES]


def blends(count: int, rng: np.random.Generator) -> Float[np.ndarray, "count 21"]:
    """Random blends of the postures along the synergies, with 3 degrees of a joint's own."""
    mean, directions = synergies()
    weights = rng.dirichlet(np.full(len(POSTURES), 0.08), size=count)
    change = weights @ np.stack(list(POSTURES.values())) - mean
    own = np.radians(3.0) * rng.standard_normal((count, 21))
    return within_ranges(mean + change @ directions.T @ directions + own)


def free(count: int, rng: np.random.Generator) -> Float[np.ndarray, "count 21"]:
    """Every finger for itself, over its whole range; a bent knuckle cannot lean sideways."""
    thumb = np.array([-35, -28, -20, -10, -15]) + rng.random((count, 5)) * np.array(
        [70, 56, 60, 70, 95]
    )
    knuckle = rng.uniform(-15.0, 88.0, (count, 4))
    lean = rng.uniform(-18.0, 18.0, (count, 4)) * np.cos(np.radians(np.maximum(knuckle, 0.0)))
    bend = rng.uniform(0.0, 98.0, (count, 4))
    last = DIP_PER_PIP * bend + 8.0 * rng.standard_normal((count, 4))
    fingers = np.stack([knuckle, lean, bend, last], axis=-1).reshape(count, 16)
    return within_ranges(np.radians(np.concatenate([thumb, fingers], axis=1)))


def natural(points: Points, touching: tuple[int, ...] = ()) -> Bool[np.ndarray, " *hands"]:
    """Whether no finger runs through another or through the palm.

    touching: numbers of the fingers (FINGERS) whose last segments may meet the thumb's.
    """
    joints = points[..., 1:, :].reshape(*points.shape[:-2], 5, 4, 3)
    # Five places on each finger's last two segments stand for its bones.
    steps = np.linspace(0.0, 1.0, 3)[:, None]
    middle = joints[..., 1:2, :] * (1.0 - steps) + joints[..., 2:3, :] * steps
    last = joints[..., 2:3, :] * (1.0 - steps[1:]) + joints[..., 3:4, :] * steps[1:]
    bones = np.concatenate([middle, last], axis=-2)
    good = np.asarray(np.all(bones[..., 0] > -_BACK_M, axis=(-1, -2)))
    for one in range(5):
        for other in range(one + 1, 5):
            first, second = bones[..., one, :, :], bones[..., other, :, :]
            if one == 0 and other in touching:
                first, second = first[..., :3, :], second[..., :3, :]
            gaps = np.linalg.norm(first[..., :, None, :] - second[..., None, :, :], axis=-1)
            good &= np.min(gaps, axis=(-1, -2)) > 2.0 * _HALF_FINGER_M * _closeness(one, other)
    return good


def _closeness(one: int, other: int) -> float:
    """Fingers press flesh together: neighbours side by side more than thumb against finger."""
    return 0.6 if FINGERS[one] == "thumb" or other - one > 1 else 0.75
