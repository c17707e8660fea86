"""Tracked hands in the orders of common trackers, brought to 21 points in the palm frame.

MediaPipe gives the 21 points themselves. OpenXR (XR_EXT_hand_tracking) gives 26 joints: the palm
and the bases of the four fingers' metacarpals lie inside the rigid palm and are dropped; its
names are those of the bone that begins at the joint, so "metacarpal" of the thumb is the thumb's
base and "proximal" of a finger is its knuckle. Manus' raw skeleton gives 25 nodes, which are
OpenXR's without the palm (as WebXR has them).

A tracker fails in the middle of work: what a reading cannot use comes back as a reason, never as
an exception. Positions are metres, in the tracker's frame; the palm frame is that of human.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from lam_models import geometry
from lam_models.command import UserError, unknown
from lam_models.hands.human import FINGERS, POINTS, HumanHand, hand_from_points, mean_hand

Side = Literal["left", "right"]

_WRIST, _INDEX, _MIDDLE, _LITTLE = (
    POINTS.index(name) for name in ("wrist", "index_mcp", "middle_mcp", "little_mcp")
)
# Parent of each point along its finger; a finger's first point hangs on the wrist.
_PARENTS = np.array([0, *(0 if (point - 1) % 4 == 0 else point - 1 for point in range(1, 21))])

# No adult's or child's bone is shorter or longer than this; a tracker that lost the hand says so.
SHORTEST_BONE_M, LONGEST_BONE_M = 0.004, 0.2
_LEAST_FRAMES = 20


@dataclass(frozen=True)
class Layout:
    """An order of joints: for each of the tracker's joints its name and the point it is, if any."""

    name: str
    joints: tuple[str, ...]
    points: tuple[str | None, ...]

    @property
    def take(self) -> np.ndarray:
        """Where each of the 21 POINTS stands among the tracker's joints."""
        return np.array([self.points.index(point) for point in POINTS])


def _openxr() -> Layout:
    bones = ("metacarpal", "proximal", "intermediate", "distal", "tip")
    thumb = {"metacarpal": "cmc", "proximal": "mcp", "distal": "ip", "tip": "tip"}
    finger = {"proximal": "mcp", "intermediate": "pip", "distal": "dip", "tip": "tip"}
    joints: list[tuple[str, str | None]] = [("palm", None), ("wrist", "wrist")]
    joints += [(f"thumb_{bone}", f"thumb_{point}") for bone, point in thumb.items()]
    for name in FINGERS[1:]:
        joints += [
            (f"{name}_{bone}", f"{name}_{finger[bone]}" if bone in finger else None)
            for bone in bones
        ]
    names, points = zip(*joints, strict=True)
    return Layout("openxr", names, points)


_OPENXR = _openxr()
LAYOUTS: Mapping[str, Layout] = {
    "mediapipe": Layout("mediapipe", POINTS, POINTS),
    "openxr": _OPENXR,
    "manus": Layout("manus", _OPENXR.joints[1:], _OPENXR.points[1:]),
}


@dataclass(frozen=True)
class Reading:
    """What one frame of a tracker says: the points, or why there are none.

    points: the 21 points in the palm frame of a right hand (a left one is mirrored), in metres
        of the mean hand if the reader knows the person's scale, else of the person's own.
    T_sensor_palm: where the palm is. Of a left hand too, z leads to the middle knuckle and x out
        of the palm; y, a proper right-handed axis, then leads to the little finger.
    """

    points: Float[np.ndarray, "21 3"] | None = None
    T_sensor_palm: Float[np.ndarray, "4 4"] | None = None
    why: str = ""

    @property
    def ok(self) -> bool:
        return self.points is not None


@dataclass(frozen=True)
class KeypointReader:
    """Reads one hand of one person from a tracker's stream.

    scale: the person's size as a multiple of the mean hand's (`measure` finds it).
    """

    layout: Layout
    side: Side = "right"
    scale: float = 1.0

    def read(self, positions: object, valid: object = None) -> Reading:
        """One frame: positions [joints 3] m, and which joints the tracker is sure of.

        Takes anything; what is not a whole hand of sane size gives a reading with `why`.
        """
        count = len(self.layout.joints)
        try:
            joints = np.asarray(positions, dtype=np.float64)
            sure = np.ones(count, dtype=bool) if valid is None else np.asarray(valid, dtype=bool)
        except (TypeError, ValueError, OverflowError):
            return Reading(why="positions or their validity are not numbers")
        if joints.shape != (count, 3):
            wanted = f"({count}, 3)"
            return Reading(why=f"{self.layout.name} positions {joints.shape} are not {wanted}")
        if sure.shape != (count,):
            return Reading(why=f"validity of {sure.shape} is not one of {count} joints")
        good = sure & np.all(np.isfinite(joints), axis=1)
        take = self.layout.take
        if not good[take].all():
            return Reading(why=f"missing: {_names(~good[take])}")
        return self._normalise(joints[take])

    def _normalise(self, points: Float[np.ndarray, "21 3"]) -> Reading:
        # A bone of an untracked hand can be as long as a number gets: no overflow, no warning.
        with np.errstate(over="ignore", invalid="ignore"):
            bones_m = np.linalg.norm(points - points[_PARENTS], axis=1)[1:]
        short, long = bones_m < SHORTEST_BONE_M, ~(bones_m <= LONGEST_BONE_M)
        if short.any():
            ends = np.concatenate([[False], short])
            return Reading(why=f"collapsed: bones to {_names(ends)}")
        if long.any():
            ends = np.concatenate([[False], long])
            return Reading(why=f"longer than a hand: bones to {_names(ends)}")
        T_sensor_palm = _palm_pose(points, self.side)
        if T_sensor_palm is None:
            return Reading(why="collapsed: wrist and knuckles lie in one line")
        own = (points - points[_WRIST]) @ T_sensor_palm[:3, :3] / self.scale
        if self.side == "left":
            own[:, 1] = -own[:, 1]
        return Reading(own, T_sensor_palm)


def reader(layout: str, side: str = "right", scale: float = 1.0) -> KeypointReader:
    """A reader by names. Errors: UserError for a layout, side or scale there is not."""
    if layout not in LAYOUTS:
        raise unknown("keypoint layout", layout, LAYOUTS)
    if side != "left" and side != "right":
        raise unknown("side of a hand", side, ("left", "right"))
    if not 0.3 <= scale <= 3.0:
        raise UserError(f"scale of a hand is {scale}: it must lie in 0.3 to 3.")
    return KeypointReader(LAYOUTS[layout], side, scale)


@dataclass(frozen=True)
class Measured:
    """A person's hand as a tracker sees it, and its size as a multiple of the mean hand's."""

    hand: HumanHand
    scale: float


def measure(readings: Sequence[Reading], name: str = "") -> Measured:
    """The person's bones from readings of an unscaled reader: medians, so that a few bad ones pass.

    The scale is the geometric mean of the bones' ratios, palm and fingers weighing alike.
    Errors: UserError if fewer than 20 readings have points.
    """
    frames = [reading.points for reading in readings if reading.points is not None]
    if len(frames) < _LEAST_FRAMES:
        raise UserError(
            f"{len(frames)} of {len(readings)} frames show a whole hand: "
            f"measuring a person's hand takes {_LEAST_FRAMES}."
        )
    hand = hand_from_points(np.stack(frames), name)
    return Measured(hand, float(np.exp(np.mean(np.log(_sizes_m(hand) / _sizes_m(mean_hand()))))))


def calibrated(before: KeypointReader, measured: Measured) -> KeypointReader:
    """The same reader for the measured person."""
    return replace(before, scale=measured.scale)


def _sizes_m(hand: HumanHand) -> Float[np.ndarray, " sizes"]:
    """Reach of the four knuckles and length of the five fingers: no single joint weighs much."""
    return np.concatenate([np.linalg.norm(hand.roots_m[1:], axis=1), hand.segments_m.sum(axis=1)])


def _palm_pose(points: Float[np.ndarray, "21 3"], side: Side) -> Float[np.ndarray, "4 4"] | None:
    """T_sensor_palm, or None where the knuckles and the wrist span no palm."""
    z = points[_MIDDLE] - points[_WRIST]
    z = z / np.linalg.norm(z)
    across = points[_INDEX] - points[_LITTLE]
    y = across - (across @ z) * z
    width_m = float(np.linalg.norm(y))
    if width_m < SHORTEST_BONE_M:
        return None
    y = y / width_m if side == "right" else -y / width_m
    return geometry.pose(np.stack([np.cross(y, z), y, z], axis=1), points[_WRIST])


def _names(which: np.ndarray) -> str:
    """The first three of the points that a mask names, and how many more."""
    names = [name for name, bad in zip(POINTS, which, strict=True) if bad]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
