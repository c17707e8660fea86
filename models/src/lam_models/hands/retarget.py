"""Human hand poses onto robot hands: LAD's retargeting, for a batch of poses or a stream.

Points are a person's 21 in the palm frame, brought to the mean hand's size ("calibrated"). The
hand's key vectors are to be the human's (objective.py), found by damped least squares within the
limits (least_squares.py) from the posture that the joints' slots name.

A gripper has one number: the smallest of the human's vectors from the thumb's tip to a finger's,
as a share of its range, is the width as a share of the gripper's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float

from lam_models.hands import objective as recipes
from lam_models.hands.correspondence import by_roots, by_size
from lam_models.hands.human import FINGERS, TIPS, mean_hand
from lam_models.hands.kinematics import Kinematics, open_kinematics
from lam_models.hands.least_squares import Goal, Solution, better, solve, track
from lam_models.hands.objective import Objective, Project, key_targets, key_vectors, pinched
from lam_models.hands.poses import sample
from lam_models.hands.slots import NamedSlots
from lam_models.hands.spec import HandSpec

_BLOCK = 512  # Poses solved at once: larger ones leave the processor's cache.
_SCOUTING_STEPS, _STEPS = 5, 40
_FITTING_POSES, _FITTING_ROUNDS = 160, 3
# Human gaps of thumb and finger between which a gripper goes from closed to open.
_CLOSED_M, _OPEN_M = 0.014, 0.10


@dataclass(frozen=True)
class Retargeted:
    """q: within the limits. error_m: root mean square over the key vectors of what is left,
    unweighted. converged: the solver settled, and where the key vectors are met.
    """

    q: Float[np.ndarray, "*poses actuated"]
    error_m: Float[np.ndarray, " *poses"]
    converged: Bool[np.ndarray, " *poses"]


class Retargeter:
    """One hand and one objective, a name in OBJECTIVES or one of your own.

    Opening one takes a good part of a second: the hand's correspondence is fitted.
    """

    def __init__(
        self,
        spec: HandSpec,
        objective: Objective | str = "keyvector",
        kinematics: Kinematics | None = None,
    ) -> None:
        self.spec = spec
        wanted = recipes.objective(objective) if isinstance(objective, str) else objective
        self.objective = wanted
        self.kinematics = kinematics or open_kinematics(spec)
        self._tips = TIPS[[FINGERS.index(tip) for tip in spec.tips]]
        self._range = spec.upper - spec.lower
        self._key = key_vectors(spec, wanted)
        self._slots = NamedSlots(spec)
        self._gripper = is_gripper(spec)
        if self._gripper:
            self._widths_m, self._width_joints = _stroke(self.kinematics)
        elif wanted.fitted:
            self._way = by_roots(self.kinematics)
            self._fit(_natural_points())
        else:
            self._way = by_size(self.kinematics)
        self.reset()

    def solve(self, points: Float[np.ndarray, "*poses 21 3"]) -> Retargeted:
        """Each pose for itself; the same points always give the same joints."""
        flat = points.reshape(-1, 21, 3)
        work = self._grip if self._gripper else self._solve_block
        blocks = [work(flat[at : at + _BLOCK]) for at in range(0, max(1, len(flat)), _BLOCK)]
        shape = points.shape[:-2]
        return Retargeted(
            np.concatenate([block.q for block in blocks]).reshape(*shape, -1),
            np.concatenate([block.error_m for block in blocks]).reshape(shape),
            np.concatenate([block.converged for block in blocks]).reshape(shape),
        )

    def follow(self, points: Float[np.ndarray, "21 3"]) -> Retargeted:
        """One frame of a stream, from where the one before ended and near it."""
        if self._gripper:
            return self.solve(points)
        if self._last is None:
            found = self.solve(points)
            self._last, self._held = found.q[None], self._closed(points)
            return found
        smooth, posture = self.objective.smooth_m**2, self.objective.posture_m**2
        both = smooth + posture
        rest = (smooth * self._last + posture * self._slots.posture(points[None])) / both
        goal = self._goal(points[None], rest, both / self._range**2, self._held)
        solution = track(self.kinematics, goal, self._last)
        self._last = solution.q
        self._held = self._closed(points, self._held)
        found = self._judged(solution)
        return Retargeted(found.q[0], found.error_m.reshape(()), found.converged.reshape(()))

    def reset(self) -> None:
        """Forget the stream."""
        self._last: np.ndarray | None = None
        self._held: np.ndarray | None = None

    def reach(self, tips: Float[np.ndarray, "poses tips 3"]) -> Retargeted:
        """Joints that bring the hand's own tips to places in its palm frame: no human in it."""
        plain = np.broadcast_to(
            np.where(self._key.from_palm, 1.0, 0.0), (len(tips), len(self._key.ends))
        )
        middle = np.tile((self.spec.lower + self.spec.upper) / 2.0, (len(tips), 1))
        goal = Goal(self._key.matrix, self._key.matrix @ tips, plain, middle, 1e-8 / self._range**2)
        return self._judged(solve(self.kinematics, goal, middle, _STEPS))

    def _fit(self, points: Float[np.ndarray, "poses 21 3"]) -> None:
        human = points[:, self._tips]
        for _ in range(_FITTING_ROUNDS):
            hand = self.kinematics.tips(self.solve(points).q)
            self._way = self._way.fitted(human, hand)

    def _goal(
        self,
        points: np.ndarray,
        rest: np.ndarray,
        pull: np.ndarray,
        held: np.ndarray | None = None,
    ) -> Goal:
        tips, key = points[:, self._tips], self._key
        own, mapped = key.matrix @ tips, key.matrix @ self._way.places(tips)
        targets, weights = key_targets(self.objective, key, own, mapped, held)
        return Goal(key.matrix, targets, weights, rest, pull)

    def _closed(self, points: np.ndarray, held: np.ndarray | None = None) -> np.ndarray | None:
        """Pinches to remember, of an objective that does."""
        if not isinstance(self.objective.pinch, Project):
            return None
        own = self._key.matrix @ points[None, self._tips]
        return pinched(self.objective, self._key, own, held)

    def _solve_block(self, points: np.ndarray) -> Retargeted:
        rest = self._slots.posture(points)
        goal = self._goal(points, rest, (self.objective.posture_m / self._range) ** 2)
        middle = np.broadcast_to((self.spec.lower + self.spec.upper) / 2.0, rest.shape)
        first, second = (
            solve(self.kinematics, goal, start, _SCOUTING_STEPS) for start in (rest, middle)
        )
        start = better(first, second).q
        return self._judged(solve(self.kinematics, goal, start, _STEPS))

    def _judged(self, found: Solution) -> Retargeted:
        met = found.settled & (found.error_m < self.objective.reach_m)
        return Retargeted(found.q, found.error_m, met)

    def _grip(self, points: np.ndarray) -> Retargeted:
        tips = points[:, TIPS]
        gaps = np.linalg.norm(tips[:, 1:] - tips[:, :1], axis=-1).min(axis=1)
        share = np.clip((gaps - _CLOSED_M) / (_OPEN_M - _CLOSED_M), 0.0, 1.0)
        widths_m = self._widths_m[0] + share * (self._widths_m[-1] - self._widths_m[0])
        q = self.spec.clip(np.interp(widths_m, self._widths_m, self._width_joints)[:, None])
        return Retargeted(q, np.zeros(len(q)), np.ones(len(q), dtype=bool))


@cache
def _natural_points() -> Float[np.ndarray, "poses 21 3"]:
    hand = mean_hand()
    return hand.points(sample(hand, _FITTING_POSES, 0).angles)


def is_gripper(spec: HandSpec) -> bool:
    """One motor and two tips: only their distance is free."""
    return len(spec.actuated) == 1 and len(spec.tips) == 2


def _stroke(kinematics: Kinematics) -> tuple[np.ndarray, np.ndarray]:
    """Widths [m], rising from closed to open, and the joint's positions for them."""
    spec = kinematics.spec
    q = np.linspace(spec.lower[0], spec.upper[0], 257)[:, None]
    tips = kinematics.tips(q)
    widths_m = np.linalg.norm(tips[:, 0] - tips[:, 1], axis=-1)
    closed, opened = sorted((int(widths_m.argmin()), int(widths_m.argmax())))
    part = slice(closed, opened + 1)
    order = slice(None) if widths_m[closed] < widths_m[opened] else slice(None, None, -1)
    return np.maximum.accumulate(widths_m[part][order]), q[part, 0][order]
