"""A person who moves one hand before a tracker: what a lab without a glove can try a chain with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lam_models import geometry
from lam_models.hands.human import POINTS, draw_subjects
from lam_models.hands.keypoints import Layout
from lam_models.hands.poses import sample, trajectory

# The wrist goes round slowly before the sensor: radius m, turn rad, seconds a round.
_RADIUS_M, _TURN_RAD, _ROUND_S = 0.08, 0.5, 8.0
_BEFORE_SENSOR_M = np.array([0.0, 0.0, 0.5])

_WRIST, _MIDDLE = POINTS.index("wrist"), POINTS.index("middle_mcp")


@dataclass(frozen=True)
class Piece:
    """What is played: natural poses one after another, for ever.

    subject: number of the person whose hand it is. noise_m: standard deviation of every
    coordinate, the tracker's own.
    """

    layout: Layout
    side: str = "right"
    subject: int = 0
    poses: int = 12
    seconds_each: float = 1.0
    noise_m: float = 0.0
    seed: int = 0


class Player:
    """Plays a piece; what it shows depends on the time alone, but for the noise."""

    RATE_HZ = 120.0

    def __init__(self, piece: Piece) -> None:
        self.piece, self._rng = piece, np.random.default_rng(piece.seed)
        self.hand = draw_subjects(piece.subject + 1, piece.seed)[piece.subject]
        keys = sample(self.hand, piece.poses, piece.seed).angles
        round_trip = np.concatenate([keys, keys[:1]])
        angles = trajectory(round_trip, self.RATE_HZ, piece.seconds_each)[:-1]
        self._points = self.hand.points(angles)

    def points(self, time_s: float) -> Float[np.ndarray, "21 3"]:
        """The points of a right hand in the palm frame, m of this person."""
        return self._points[round(time_s * self.RATE_HZ) % len(self._points)]

    def T_sensor_palm(self, time_s: float) -> Float[np.ndarray, "4 4"]:
        """Where the palm is."""
        phase = 2.0 * np.pi * time_s / _ROUND_S
        around = np.array([np.cos(phase), np.sin(phase), 0.0])
        turn = geometry.so3_exp(_TURN_RAD * around)
        return geometry.pose(turn, _BEFORE_SENSOR_M + _RADIUS_M * around)

    def joints(self, time_s: float) -> Float[np.ndarray, "joints 3"]:
        """What the tracker sees, in its own frame and order."""
        points = self.points(time_s)
        if self.piece.side == "left":
            points = points * [1.0, -1.0, 1.0]
        T = self.T_sensor_palm(time_s)
        joints = as_layout(points, self.piece.layout) @ T[:3, :3].T + T[:3, 3]
        return joints + self.piece.noise_m * self._rng.standard_normal(joints.shape)


def as_layout(points: Float[np.ndarray, "21 3"], layout: Layout) -> Float[np.ndarray, "joints 3"]:
    """A tracker's joints of 21 points; those that are none of them lie inside the palm."""
    wrist = points[_WRIST]
    joints = np.tile((wrist + points[_MIDDLE]) / 2.0, (len(layout.joints), 1))
    joints[layout.take] = points
    for row, name in enumerate(layout.joints[:-1]):
        if layout.points[row] is None and name.endswith("metacarpal"):
            joints[row] = wrist + 0.25 * (joints[row + 1] - wrist)
    return joints
