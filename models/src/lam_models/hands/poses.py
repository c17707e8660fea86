"""Natural poses of a human hand, each labelled by its kind, and smooth motions through them.

synergy: blends of described postures along their main directions (postures.py).
pinch: thumb tip and one finger's tip at a stated gap. The tips are points on the skin's end, so
    pads that touch show a gap of some millimetres.
sphere, cylinder: the tips of thumb and fingers on the skin of an object of a stated diameter.
free: every joint for itself.

Everything is a pure function of the hand, the count and the seed. Metres and radians.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int64

from lam_models.command import UserError, unknown
from lam_models.hands import postures
from lam_models.hands.human import FINGERS, ROOTS, TIPS, HumanHand, within_ranges

KINDS = ("synergy", "pinch", "sphere", "cylinder", "free")
SHARES: Mapping[str, float] = {
    "synergy": 0.25,
    "pinch": 0.35,
    "sphere": 0.1,
    "cylinder": 0.15,
    "free": 0.15,
}
WIDEST_GAP_M = 0.06
DIAMETERS_M = (0.02, 0.09)
_PAD_M = 0.007  # From a tip point to the skin that touches, across the finger.
_SMALL_M = 0.045  # A smaller thing is held by thumb, index and middle finger alone.
_CLOSE_M = 1e-4  # A pinch or a touch is met when it is met as closely as this.
_BATCH = 512  # Poses solved at once: larger ones leave the processor's cache.
_MOST_BATCHES = 40

# What a solver drives to zero: the misses [m] of a batch of poses and their derivatives by angle.
Miss = tuple[Float[np.ndarray, "poses misses"], Float[np.ndarray, "poses misses 21"]]


@dataclass(frozen=True)
class Poses:
    """Joint angles with what they are.

    kinds: index into KINDS. fingers: of a pinch, the finger that meets the thumb (index into
    FINGERS), else -1. sizes_m: the gap of a pinch, the diameter of a grasp, else NaN.
    """

    angles: Float[np.ndarray, "poses 21"]
    kinds: Int64[np.ndarray, " poses"]
    fingers: Int64[np.ndarray, " poses"]
    sizes_m: Float[np.ndarray, " poses"]

    def __len__(self) -> int:
        return len(self.angles)

    def take(self, which: np.ndarray | slice) -> Poses:
        """Some of the poses, by index or mask."""
        return Poses(
            self.angles[which], self.kinds[which], self.fingers[which], self.sizes_m[which]
        )


def join(parts: Sequence[Poses]) -> Poses:
    """Poses one after another."""
    return Poses(
        np.concatenate([part.angles for part in parts]),
        np.concatenate([part.kinds for part in parts]),
        np.concatenate([part.fingers for part in parts]),
        np.concatenate([part.sizes_m for part in parts]),
    )


def sample(hand: HumanHand, count: int, seed: int, shares: Mapping[str, float] = SHARES) -> Poses:
    """`count` poses of all kinds in these shares, in random order.

    Errors: UserError for an unknown kind, or shares that do not add up to something.
    """
    for kind in shares:
        if kind not in KINDS:
            raise unknown("kind of pose", kind, KINDS)
    weights = np.array([shares.get(kind, 0.0) for kind in KINDS])
    if weights.min() < 0.0 or weights.sum() <= 0.0:
        raise UserError(f"shares of poses are {dict(shares)}: they must be positive somewhere.")
    edges = np.round(np.cumsum(weights) / weights.sum() * count).astype(int)
    counts = np.diff(edges, prepend=0)
    makers = (synergies, pinches, spheres, cylinders, free)
    parts = [make(hand, int(n), seed) for make, n in zip(makers, counts, strict=True)]
    order = np.random.default_rng([seed, len(KINDS)]).permutation(count)
    return join(parts).take(order)


def synergies(hand: HumanHand, count: int, seed: int) -> Poses:
    """Blends of described postures."""
    return _keep(hand, count, seed, "synergy", lambda n, rng: _plain(postures.blends(n, rng), 0))


def free(hand: HumanHand, count: int, seed: int) -> Poses:
    """Every joint for itself."""
    return _keep(hand, count, seed, "free", lambda n, rng: _plain(postures.free(n, rng), 4))


def pinches(
    hand: HumanHand,
    count: int,
    seed: int,
    finger: str | None = None,
    gap_m: float | None = None,
) -> Poses:
    """Thumb and a finger at a gap, the other fingers anywhere natural.

    finger: any of the four at random if None. gap_m: if None, 60 % of the gaps lie evenly under
    20 mm, the others up to 60 mm. Errors: UserError for another finger or a gap out of reach.
    """
    if finger is not None and finger not in FINGERS[1:]:
        raise unknown("finger that pinches", finger, FINGERS[1:])
    if gap_m is not None and not 0.0 <= gap_m <= WIDEST_GAP_M:
        raise UserError(f"pinch gap is {gap_m} m: it must lie in 0 to {WIDEST_GAP_M} m.")

    def draw(size: int, rng: np.random.Generator) -> Poses:
        near = rng.uniform(0.0, 0.02, size)
        gaps = np.where(rng.random(size) < 0.6, near, rng.uniform(0.02, WIDEST_GAP_M, size))
        fingers = rng.integers(1, 5, size)
        if gap_m is not None:
            gaps[:] = gap_m
        if finger is not None:
            fingers[:] = FINGERS.index(finger)
        start = _opposed(fingers, rng)
        points = hand.points(start)
        rows = np.arange(size)
        apart = points[:, TIPS[0]] - points[rows, TIPS[fingers]]
        goal = apart / np.linalg.norm(apart, axis=1, keepdims=True) * gaps[:, None]

        def miss(angles: Float[np.ndarray, "poses 21"]) -> Miss:
            at, slope = hand.points(angles)[:, TIPS], hand.jacobian(angles, TIPS)
            return at[:, 0] - at[rows, fingers] - goal, slope[:, 0] - slope[rows, fingers]

        angles, met = _solve(start, miss)
        return Poses(angles, np.full(size, 1), fingers, gaps).take(met)

    return _keep(hand, count, seed, "pinch", draw)


def spheres(hand: HumanHand, count: int, seed: int, diameter_m: float | None = None) -> Poses:
    """Tips around a sphere, the thumb against the fingers."""
    return _grasps(hand, count, seed, "sphere", diameter_m)


def cylinders(hand: HumanHand, count: int, seed: int, diameter_m: float | None = None) -> Poses:
    """Tips around a bar that lies across the palm, the thumb against the fingers."""
    return _grasps(hand, count, seed, "cylinder", diameter_m)


def trajectory(
    keys: Float[np.ndarray, "keys 21"], rate_hz: float, seconds_each: float
) -> Float[np.ndarray, "time 21"]:
    """Angles at `rate_hz` from each pose to the next, at rest in each (minimum jerk).

    A blend of two poses within the ranges is within them too.
    """
    steps = max(1, round(rate_hz * seconds_each))
    t = np.arange(steps) / steps
    share = (t**3 * (10.0 - 15.0 * t + 6.0 * t**2))[None, :, None]
    moves = keys[:-1, None] * (1.0 - share) + keys[1:, None] * share
    return np.concatenate([moves.reshape(-1, keys.shape[1]), keys[-1:]])


def _plain(angles: Float[np.ndarray, "poses 21"], kind: int) -> Poses:
    count = len(angles)
    return Poses(angles, np.full(count, kind), np.full(count, -1), np.full(count, np.nan))


def _keep(
    hand: HumanHand,
    count: int,
    seed: int,
    kind: str,
    draw: Callable[[int, np.random.Generator], Poses],
) -> Poses:
    """The first `count` natural poses among batches of draws."""
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    parts = [_plain(np.zeros((0, 21)), 0)]
    found = 0
    for _ in range(_MOST_BATCHES + 4 * count // _BATCH):
        if found >= count:
            break
        drawn = draw(min(_BATCH, 2 * count + 16), rng)
        parts.append(drawn.take(_natural(hand, drawn)))
        found += len(parts[-1])
    else:
        raise UserError(f"hand '{hand.name}' reaches {found} of {count} poses of kind '{kind}'.")
    return join(parts).take(slice(count))


def _natural(hand: HumanHand, poses: Poses) -> np.ndarray:
    points = hand.points(poses.angles)
    good = postures.natural(points)
    for finger in range(1, 5):
        mine = poses.fingers == finger
        good[mine] = postures.natural(points[mine], touching=(finger,))
    return good


def _opposed(
    fingers: Int64[np.ndarray, " poses"], rng: np.random.Generator
) -> Float[np.ndarray, "poses 21"]:
    """Where a pinch starts from: the thumb before the finger, that finger half bent."""
    count = len(fingers)
    angles = postures.blends(count, rng)
    across = (fingers - 1)[:, None] / 3.0
    thumb = np.array([2, 12, 18, 18, 18]) + across * np.array([28, 6, 16, 10, 8])
    angles[:, :5] = np.radians(thumb + rng.normal(0.0, 8.0, (count, 5)))
    bend = np.stack([rng.uniform(25, 65, count), np.zeros(count), rng.uniform(15, 65, count)], 1)
    bend = np.concatenate([bend, postures.DIP_PER_PIP * bend[:, 2:]], axis=1)
    columns = 1 + 4 * fingers[:, None] + np.arange(4)
    np.put_along_axis(angles, columns, np.radians(bend), axis=1)
    return within_ranges(angles)


def _grasps(hand: HumanHand, count: int, seed: int, kind: str, diameter_m: float | None) -> Poses:
    low, high = DIAMETERS_M
    if diameter_m is not None and not low <= diameter_m <= high:
        raise UserError(f"{kind}'s diameter is {diameter_m} m: it must lie in {low} to {high} m.")
    posture = postures.POSTURES["around a ball" if kind == "sphere" else "around a bar"]

    def draw(size: int, rng: np.random.Generator) -> Poses:
        wide = rng.uniform(low, high, size) if diameter_m is None else np.full(size, diameter_m)
        start = within_ranges(posture + np.radians(8.0) * rng.standard_normal((size, 21)))
        thing = _between_tips(hand.points(start), kind, rng)
        held = np.ones((size, 5))
        held[wide < _SMALL_M, 3:] = 0.0

        def miss(angles: Float[np.ndarray, "poses 21"]) -> Miss:
            arm = thing.arms(hand.points(angles)[:, TIPS])
            reach = np.linalg.norm(arm, axis=-1)
            away = arm / reach[..., None]
            slope = np.einsum("nfi,nfij->nfj", away, hand.jacobian(angles, TIPS))
            off = reach - (wide / 2.0 + _PAD_M)[:, None]
            return off * held, slope * held[..., None]

        angles, met = _solve(start, miss)
        arm = thing.arms(hand.points(angles))
        outside = np.min(np.linalg.norm(arm[:, 1:], axis=-1), axis=1) > wide / 2.0
        # The thumb stands against the first two fingers: a grasp, not five tips on one side.
        opposite = np.sum(arm[:, TIPS[0]] * arm[:, TIPS[1:3]].sum(axis=1), axis=1) < 0.0
        poses = Poses(angles, np.full(size, KINDS.index(kind)), np.full(size, -1), wide)
        return poses.take(met & outside & opposite)

    return _keep(hand, count, seed, kind, draw)


@dataclass(frozen=True)
class _Things:
    """Spheres (axis zero) or bars (unit axis) to grasp, one a pose, in the palm frame."""

    centres: Float[np.ndarray, "poses 3"]
    axes: Float[np.ndarray, "poses 3"]

    def arms(self, at: Float[np.ndarray, "poses places 3"]) -> Float[np.ndarray, "poses places 3"]:
        """From the nearest place of the centre or axis to each of the places."""
        arm = at - self.centres[:, None]
        return arm - np.sum(arm * self.axes[:, None], axis=-1, keepdims=True) * self.axes[:, None]


def _between_tips(
    points: Float[np.ndarray, "poses 21 3"], kind: str, rng: np.random.Generator
) -> _Things:
    """Things half way from the thumb's tip to the fingers'; bars lie along the knuckles' row."""
    centres = (points[:, TIPS[0]] + points[:, TIPS[1:]].mean(axis=1)) / 2.0
    if kind == "sphere":
        return _Things(centres, np.zeros_like(centres))
    axes = points[:, ROOTS[1]] - points[:, ROOTS[4]] + 0.008 * rng.standard_normal(centres.shape)
    return _Things(centres, axes / np.linalg.norm(axes, axis=1, keepdims=True))


def _solve(
    start: Float[np.ndarray, "poses 21"], miss: Callable[[Float[np.ndarray, "poses 21"]], Miss]
) -> tuple[Float[np.ndarray, "poses 21"], np.ndarray]:
    """Angles near the start whose misses are zero, and which of the poses met that.

    Damped Gauss-Newton with the shortest step, limited to the ranges.
    """
    angles = start
    for _ in range(14):
        off, slope = miss(angles)
        square = slope @ np.swapaxes(slope, 1, 2) + 1e-7 * np.eye(off.shape[1])
        step = np.swapaxes(slope, 1, 2) @ np.linalg.solve(square, off[..., None])
        angles = within_ranges(angles - np.clip(step[..., 0], -0.3, 0.3))
    return angles, np.all(np.abs(miss(angles)[0]) < _CLOSE_M, axis=1)
