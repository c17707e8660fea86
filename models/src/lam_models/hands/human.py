"""A parametric human hand: joint angles to 21 points and back, and people of different sizes.

The palm frame of a right hand, used wherever 21 points are spoken of: origin at the wrist, z to
the middle finger's knuckle, y to the thumb's side (the part of little knuckle to index knuckle
across z), x out of the palm. A left hand is the mirror image of a right one, its y negated.

A finger's first joint has two axes (the thumb's three), its other two are hinges about one axis
that the first joint carries along; all zero is a straight finger, parallel to z. Flexion bends to
the palm, abduction leans to the thumb (the thumb: out of the palm), pronation turns the thumb's
pad to the palm. In a finger's own frame B, fixed to the palm, the first joint is
Ry(flexion) Rx(-abduction) Rz(-pronation); this order is never singular in a hand's range. The
palm itself is rigid here: the little motion of the fourth and fifth metacarpal is left out.

Where the numbers come from: anthropometry.py. Metres and radians; arrays of many hands at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from lam_models.hands import anthropometry as measured

FINGERS = measured.FINGERS
POINTS = (
    "wrist",
    *(f"thumb_{point}" for point in ("cmc", "mcp", "ip", "tip")),
    *(f"{finger}_{point}" for finger in FINGERS[1:] for point in ("mcp", "pip", "dip", "tip")),
)
ANGLES = tuple(measured.RANGES_DEG)
LOWER_RAD, UPPER_RAD = np.radians(np.array(list(measured.RANGES_DEG.values()))).T
EVERY_POINT = np.arange(21)
TIPS = np.array([4, 8, 12, 16, 20])
ROOTS = np.array([1, 5, 9, 13, 17])  # The first point of each finger: thumb base, knuckles.

Points = Float[np.ndarray, "*hands 21 3"]
Angles = Float[np.ndarray, "*hands 21"]

# The angles of one finger are flexion, abduction, pronation of its first joint, then two hinges;
# the four fingers have no pronation. Where each of the 21 angles stands in that table of 5 x 5:
_FINGER = np.array([0] * 5 + [1] * 4 + [2] * 4 + [3] * 4 + [4] * 4)
_SLOT = np.array([0, 1, 2, 3, 4] + [0, 1, 3, 4] * 4)
# How many of a finger's segments come before the joint in each slot.
_SLOT_DEPTH = np.array([0, 0, 0, 1, 2])
_STRAIGHT = 1e-6  # Sine of a bend under which its plane, so a thumb's pronation, is unknown.


def angles_of(finger: str) -> slice:
    """Where a finger's angles stand among the 21."""
    indices = [index for index, name in enumerate(ANGLES) if name.startswith(f"{finger}_")]
    return slice(indices[0], indices[-1] + 1)


def _finger_frames() -> Float[np.ndarray, "5 3 3"]:
    """B: each finger's own frame in the palm's."""
    palmar, radial = np.radians([measured.THUMB_PALMAR_DEG, measured.THUMB_RADIAL_DEG])
    z = np.array(
        [
            np.sin(palmar),
            np.cos(palmar) * np.sin(radial),
            np.cos(palmar) * np.cos(radial),
        ]
    )
    x = np.array([0.0, -1.0, 0.0]) + z[1] * z  # The pad looks to the little finger's side.
    x /= np.linalg.norm(x)
    frames = [np.stack([x, np.cross(z, x), z], axis=1)]
    for lean in np.radians(measured.FLEXION_LEAN_DEG):
        cos, sin = np.cos(lean), np.sin(lean)
        frames.append(np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]))
    return np.stack(frames)


FINGER_FRAMES = _finger_frames()


@dataclass(frozen=True)
class _Chain:
    """The moving parts of hands [n] with their fingers [5], in the palm frame."""

    directions: Float[np.ndarray, "*hands 5 3 3"]  # Of the three segments (segment, xyz).
    axes: Float[np.ndarray, "*hands 5 5 3"]  # Of the five slots' joints (slot, xyz).


def _in_palm(vectors: Float[np.ndarray, "*hands 5 3"]) -> Float[np.ndarray, "*hands 5 3"]:
    """Vectors of each finger's own frame in the palm's."""
    return np.einsum("fij,...fj->...fi", FINGER_FRAMES, vectors)


def _chain(angles: Angles) -> _Chain:
    table = np.zeros((*angles.shape[:-1], 5, 5))
    table[..., _FINGER, _SLOT] = angles
    sines, cosines = np.sin(table), np.cos(table)
    sf, sa, sp = np.moveaxis(sines[..., :3], -1, 0)
    cf, ca, cp = np.moveaxis(cosines[..., :3], -1, 0)
    zero, one = np.zeros_like(sf), np.ones_like(sf)
    # Columns of Ry(flexion) Rx(-abduction), then its x and y turned by the pronation.
    x0 = np.stack([cf, zero, -sf], axis=-1)
    y0 = np.stack([-sf * sa, ca, -cf * sa], axis=-1)
    z = _in_palm(np.stack([sf * ca, sa, cf * ca], axis=-1))
    x = _in_palm(cp[..., None] * x0 - sp[..., None] * y0)
    y = _in_palm(sp[..., None] * x0 + cp[..., None] * y0)
    first = table[..., 3, None]
    both = first + table[..., 4, None]
    directions = [z, np.sin(first) * x + np.cos(first) * z, np.sin(both) * x + np.cos(both) * z]
    flexion_axis = _in_palm(np.stack([zero, one, zero], axis=-1))
    axes = [flexion_axis, -_in_palm(x0), -z, y, y]
    return _Chain(np.stack(directions, axis=-2), np.stack(axes, axis=-2))


@dataclass(frozen=True)
class HumanHand:
    """One person's hand: what does not change when it moves.

    roots_m: thumb base and the four knuckles in the palm frame.
    segments_m: the three moving segments of each finger, from the root to the tip.
    """

    roots_m: Float[np.ndarray, "5 3"]
    segments_m: Float[np.ndarray, "5 3"]
    name: str = ""

    @property
    def length_m(self) -> float:
        """Wrist to middle tip of the flat hand: its size in one number."""
        return float(self.roots_m[2, 2] + self.segments_m[2].sum())

    def points(self, angles: Angles) -> Points:
        """The 21 points [m] of joint angles [rad], in the order of POINTS."""
        steps = _chain(angles).directions * self.segments_m[..., None]
        joints = np.concatenate(
            [np.zeros_like(steps[..., :1, :]), np.cumsum(steps, axis=-2)], axis=-2
        )
        joints += self.roots_m[:, None, :]
        fingers = joints.reshape(*angles.shape[:-1], 20, 3)
        return np.concatenate([np.zeros_like(fingers[..., :1, :]), fingers], axis=-2)

    def jacobian(
        self, angles: Angles, of: Int[np.ndarray, " chosen"] = EVERY_POINT
    ) -> Float[np.ndarray, "*hands chosen 3 21"]:
        """Derivative of the chosen points' places by every angle, m/rad."""
        points = self.points(angles)
        joints = points[..., 1:, :].reshape(*angles.shape[:-1], 5, 4, 3)
        origins = joints[..., _SLOT_DEPTH, :][..., _FINGER, _SLOT, :]
        axes = _chain(angles).axes[..., _FINGER, _SLOT, :]
        arms = points[..., of, None, :] - origins[..., None, :, :]
        motion = np.cross(axes[..., None, :, :], arms) * _CARRIED[of, :, None]
        return np.swapaxes(motion, -1, -2)


def _carried() -> Bool[np.ndarray, "21 21"]:
    """Which points (rows) each angle moves: those of its finger after its joint."""
    carried = np.zeros((21, 21), dtype=bool)
    depth = np.tile(np.arange(4), 5)
    same = np.repeat(np.arange(5), 4)[:, None] == _FINGER[None, :]
    carried[1:] = same & (depth[:, None] > _SLOT_DEPTH[_SLOT][None, :])
    return carried


_CARRIED = _carried()


def within_ranges(angles: Angles) -> Angles:
    """The angles, each brought to the nearest one of its range."""
    return np.clip(angles, LOWER_RAD, UPPER_RAD)


def angles_from_points(points: Points) -> Angles:
    """The joint angles [rad] of 21 points in the palm frame, of a hand of any size.

    Uses the segments' directions alone, in closed form; what a hinge cannot do (a segment out of
    its finger's plane) is dropped. Not limited to the ranges: `within_ranges` does that. A straight
    thumb does not show its pronation, which is then 0. Points may not coincide along a finger.
    """
    joints = points[..., 1:, :].reshape(*points.shape[:-2], 5, 4, 3)
    steps = np.diff(joints, axis=-2)
    steps = steps / np.linalg.norm(steps, axis=-1, keepdims=True)
    own = np.einsum("fji,...fsj->...fsi", FINGER_FRAMES, steps)
    abduction = np.arcsin(np.clip(own[..., 0, 1], -1.0, 1.0))
    flexion = np.arctan2(own[..., 0, 0], own[..., 0, 2])
    sf, cf, sa, ca = np.sin(flexion), np.cos(flexion), np.sin(abduction), np.cos(abduction)
    x0 = np.stack([cf, np.zeros_like(sf), -sf], axis=-1)
    y0 = np.stack([-sf * sa, ca, -cf * sa], axis=-1)
    across = np.einsum("...fsi,...fi->...fs", own[..., 1:, :], x0)
    aside = np.einsum("...fsi,...fi->...fs", own[..., 1:, :], y0)
    along = np.einsum("...fsi,...fi->...fs", own[..., 1:, :], own[..., 0, :])
    pronation = _bending_plane(across, aside) * np.array([1.0, 0.0, 0.0, 0.0, 0.0])
    bend = np.cos(pronation)[..., None] * across - np.sin(pronation)[..., None] * aside
    hinges = np.arctan2(bend, along)
    last = (hinges[..., 1] - hinges[..., 0] + np.pi) % (2.0 * np.pi) - np.pi
    table = np.stack([flexion, abduction, pronation, hinges[..., 0], last], axis=-1)
    return table[..., _FINGER, _SLOT]


def _bending_plane(
    across: Float[np.ndarray, "*fingers 2"], aside: Float[np.ndarray, "*fingers 2"]
) -> Float[np.ndarray, " *fingers"]:
    """The turn in (-pi/2, pi/2] of the plane that two segments bend in, by least squares.

    Squares of complex numbers: bent backwards lies in the same plane as bent forwards.
    """
    squares = np.sum((across - 1j * aside) ** 2, axis=-1)
    return np.where(np.abs(squares) < _STRAIGHT**2, 0.0, np.angle(squares) / 2.0)


def hand_from_points(points: Float[np.ndarray, "frames 21 3"], name: str = "") -> HumanHand:
    """The hand whose bones are the medians over many frames of 21 points in the palm frame."""
    joints = points[:, 1:].reshape(-1, 5, 4, 3)
    segments = np.linalg.norm(np.diff(joints, axis=2), axis=-1)
    return HumanHand(np.median(joints[:, :, 0], axis=0), np.median(segments, axis=0), name)


def _knuckles_mm(side: float = 1.0) -> Float[np.ndarray, "4 3"]:
    """Knuckles of the mean palm, `side` times as broad; the middle one on z."""
    y = side * measured.KNUCKLE_SIDE_MM
    reach = measured.CARPUS_MM + measured.METACARPALS_MM[1:]
    x = measured.KNUCKLE_ARCH_MM
    return np.stack([x, y, np.sqrt(reach**2 - x**2 - y**2)], axis=1)


def mean_hand() -> HumanHand:
    """The hand of the published means."""
    roots = np.vstack([measured.THUMB_ROOT_MM, _knuckles_mm()])
    return HumanHand(roots / 1000.0, measured.SEGMENTS_MM / 1000.0, "mean")


def draw_subjects(count: int, seed: int) -> tuple[HumanHand, ...]:
    """People, half of them men and half women on average, each with bones of their own.

    A length and a breadth of the hand are drawn first; then each bone varies by what its
    published deviation leaves once the size's is taken out, between 2 and 6 % (the deviations of
    the shortest bones are mostly the error of measuring them). No draw passes 2.5 deviations.
    """
    rng = np.random.default_rng([seed, 0x5EED])

    def normal(*shape: int) -> Float[np.ndarray, "..."]:
        return np.clip(rng.standard_normal(shape), -2.5, 2.5)

    mean = mean_hand()
    subjects = []
    for index in range(count):
        sex = ("man", "woman")[int(rng.integers(2))]
        tables = (measured.HAND_LENGTH_MM, measured.HAND_BREADTH_MM)
        size, breadth = (
            (table[sex][0] + table[sex][1] * float(deviation)) / _mean_of(table)
            for table, deviation in zip(tables, normal(2), strict=True)
        )
        segments_m = mean.segments_m * size * np.exp(_OWN_SPREAD * normal(5, 3))
        palm_m = np.vstack([measured.THUMB_ROOT_MM, _knuckles_mm(breadth / size)]) * size / 1000.0
        subjects.append(HumanHand(palm_m, segments_m, f"subject_{seed}_{index}"))
    return tuple(subjects)


def _mean_of(table: Mapping[str, tuple[float, float]]) -> float:
    return sum(mean for mean, _ in table.values()) / len(table)


_SIZE_SPREAD = 0.06  # Of hand length, men and women together.
_OWN_SPREAD = np.sqrt(np.clip(measured.SEGMENTS_SPREAD**2 - _SIZE_SPREAD**2, 0.02**2, 0.06**2))
