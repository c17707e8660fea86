"""Joint vectors whose key vectors meet their targets: damped least squares within limits.

Levenberg-Marquardt on many poses side by side, each with its own damping. A joint that stands at
a limit and would be pushed beyond it is taken out of the step (an active set); what a step still
oversteps is brought back to the limit. A step that makes its pose worse is not taken. Poses that
have settled leave the batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from lam_models.hands.kinematics import Kinematics

_FIRST_DAMPING_M2 = 1e-5
_LEAST_DAMPING_M2, _MOST_DAMPING_M2 = 1e-9, 1.0
_LONGEST_STEP_RAD = 0.6
_STILL_RAD = 1e-3  # A step shorter than this, or
_STILL_SHARE = 1e-3  # one that takes less than this share of the cost, ends the work.
_TRACKING_STEPS, _TRACKING_DAMPING_M2, _TRACKING_SHARE = 4, 2e-5, 1e-2


@dataclass(frozen=True)
class Goal:
    """What poses are to reach: the sum of weights * |key vector - target|^2 and of
    pull * (q - rest)^2 is to be least.

    key: makes key vectors of tips. targets: of the key vectors, m. weights: of their squares.
    rest: joints to be near where the key vectors leave it open; pull: m^2 a rad^2 (or m^2).
    """

    key: Float[np.ndarray, "vectors tips"]
    targets: Float[np.ndarray, "poses vectors 3"]
    weights: Float[np.ndarray, "poses vectors"]
    rest: Float[np.ndarray, "poses actuated"]
    pull: Float[np.ndarray, " actuated"]

    def take(self, which: np.ndarray | slice) -> Goal:
        """Some of the poses."""
        return replace(
            self,
            targets=self.targets[which],
            weights=self.weights[which],
            rest=self.rest[which],
        )


@dataclass(frozen=True)
class Solution:
    """cost: as Goal has it. error_m: root mean square over the key vectors, unweighted, of what is
    left. settled: no step of any use was left.
    """

    q: Float[np.ndarray, "poses actuated"]
    cost: Float[np.ndarray, " poses"]
    error_m: Float[np.ndarray, " poses"]
    settled: Bool[np.ndarray, " poses"]


@dataclass
class _State:
    """Where the poses of a batch stand, and the system of the next step."""

    q: np.ndarray
    cost: np.ndarray
    error_m: np.ndarray
    square: np.ndarray
    slope: np.ndarray

    def put(self, where: np.ndarray, other: _State, which: np.ndarray) -> None:
        """Take over `which` of another state's poses at `where`."""
        for name, own in vars(self).items():
            own[where] = getattr(other, name)[which]

    def take(self, which: np.ndarray) -> _State:
        return _State(*(own[which] for own in vars(self).values()))


def better(one: Solution, other: Solution) -> Solution:
    """Pose by pose the solution of less cost."""
    worse = other.cost < one.cost
    return Solution(
        np.where(worse[:, None], other.q, one.q),
        np.where(worse, other.cost, one.cost),
        np.where(worse, other.error_m, one.error_m),
        np.where(worse, other.settled, one.settled),
    )


def solve(
    kinematics: Kinematics, goal: Goal, start: Float[np.ndarray, "poses actuated"], steps: int
) -> Solution:
    """The nearest minimum from each start, after at most `steps` steps."""
    lower, upper = kinematics.spec.lower, kinematics.spec.upper
    best = _state(kinematics, goal, np.minimum(np.maximum(start, lower), upper))
    damping = np.full(len(start), _FIRST_DAMPING_M2)
    settled = np.zeros(len(start), dtype=bool)
    for _ in range(steps):
        moving = np.flatnonzero(~settled)
        if len(moving) == 0:
            break
        here = best.take(moving)
        step = _step(here, damping[moving], lower, upper)
        q = np.minimum(np.maximum(here.q + step, lower), upper)
        there = _state(kinematics, goal.take(moving), q)
        less = there.cost <= here.cost
        gain = here.cost - there.cost
        length = np.abs(q - here.q).max(axis=1)
        small = (length < _STILL_RAD) | (less & (gain < _STILL_SHARE * here.cost))
        best.put(moving[less], there, less)
        damping[moving] *= np.where(less, 0.2, 8.0)
        damping = np.maximum(damping, _LEAST_DAMPING_M2)
        settled[moving] = small | (damping[moving] > _MOST_DAMPING_M2)
    return Solution(best.q, best.cost, best.error_m, settled)


def _state(kinematics: Kinematics, goal: Goal, q: np.ndarray) -> _State:
    tips, slopes = kinematics.tips_and_jacobian(q)
    count, joints = q.shape
    key = goal.key
    off = key @ tips - goal.targets
    weighted = np.sqrt(goal.weights)[..., None]
    flat = (key @ slopes.reshape(count, key.shape[1], -1)).reshape(count, -1, 3, joints)
    flat = (flat * weighted[..., None]).reshape(count, -1, joints)
    miss = (off * weighted).reshape(count, -1, 1)
    turned = np.swapaxes(flat, 1, 2)
    aside = q - goal.rest
    square = turned @ flat
    square[:, np.arange(joints), np.arange(joints)] += goal.pull
    slope = (turned @ miss)[..., 0] + goal.pull * aside
    cost = np.einsum("nki,nki->n", miss, miss) + aside**2 @ goal.pull
    error_m = np.sqrt(np.einsum("nki,nki->n", off, off) / len(key))
    return _State(q, cost, error_m, square, slope)


def _step(here: _State, damping: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    q, slope = here.q, here.slope
    free = ~(((q <= lower) & (slope > 0.0)) | ((q >= upper) & (slope < 0.0)))
    square = here.square * (free[:, :, None] & free[:, None, :])
    square[:, np.arange(q.shape[1]), np.arange(q.shape[1])] += np.where(free, damping[:, None], 1.0)
    step = -np.linalg.solve(square, (slope * free)[..., None])[..., 0]
    longest = np.abs(step).max(axis=1, keepdims=True)
    return step * np.minimum(1.0, _LONGEST_STEP_RAD / np.maximum(longest, 1e-12))


def track(kinematics: Kinematics, goal: Goal, start: Float[np.ndarray, "1 actuated"]) -> Solution:
    """`solve` of one pose that begins near its minimum: fewer, cheaper steps.

    The damping only grows, and the best of at most five postures is kept.
    """
    lower, upper = kinematics.spec.lower, kinematics.spec.upper
    best = here = _state(kinematics, goal, start)
    settled = False
    damping = np.array([_TRACKING_DAMPING_M2])
    for _ in range(_TRACKING_STEPS):
        q = np.minimum(np.maximum(here.q + _step(here, damping, lower, upper), lower), upper)
        before, here = here, _state(kinematics, goal, q)
        gain = before.cost[0] - here.cost[0]
        if here.cost[0] < best.cost[0]:
            best = here
        settled = bool(abs(gain) < _TRACKING_SHARE * before.cost[0])
        if settled:
            break
        damping = damping * (1.0 if gain > 0.0 else 10.0)
    return Solution(best.q, best.cost, best.error_m, np.array([settled]))
