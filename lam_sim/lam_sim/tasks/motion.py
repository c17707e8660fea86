"""How scripted experts move: aims, a braking law towards them, and plans of phases.

In: truth, once a control period, possibly a tick or two late. Out: actions of bounded speed. The
path towards an aim depends on where the end effector is, not on when it got there, so an expert
that is pushed aside comes back by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lam_models.geometry import Pose, Rotation, Vector3, limit_norm, so3_log
from lam_models.types import Action
from lam_sim.interface import Truth
from lam_sim.table.effectors import Grasper

# Palm down with the base's x axis as the end effector's: what a yaw of zero means.
_DOWN = np.diag([1.0, -1.0, -1.0])


def palm_down(yaw: float) -> Rotation:
    """Orientation R_base_ee of a hand that points down, turned by `yaw` [rad] about base z."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ _DOWN


@dataclass(frozen=True)
class Aim:
    """Where the end effector should be, palm down, in the base frame [m, rad].

    arch_m: how far above `position` it travels while it is not yet over it, 0 for a straight way.
    """

    position: Vector3
    yaw: float
    aperture_m: float
    arch_m: float = 0.0


@dataclass(frozen=True)
class Style:
    """Speeds of a motion. `lag_s` is how far the arm trails its command, which braking expects."""

    speed_m_s: float = 0.45
    acceleration_m_s2: float = 3.0
    turn_rad_s: float = 2.5
    closing_m_s: float = 0.35
    gain_hz: float = 6.0
    lag_s: float = 0.06


def drawn_style(rng: np.random.Generator, speed_m_s: float = 0.45) -> Style:
    """A style with a little variety in its speed: demonstrations are to differ."""
    return Style(speed_m_s=speed_m_s * rng.uniform(0.9, 1.1))


class Mover:
    """Turns aims into actions: proportional with a speed and acceleration limit and damping."""

    def __init__(self, effector: Grasper, style: Style, control_hz: float = 20.0) -> None:
        self._effector = effector
        self._style = style
        self._dt_s = 1.0 / control_hz
        self._velocity = np.zeros(3)
        self._aperture_m = effector.max_aperture_m
        self._seen: tuple[float, Vector3] | None = None

    def towards(self, truth: Truth, aim: Aim) -> Action:
        """The next action on the way to `aim`."""
        turn = self._style.gain_hz * so3_log(palm_down(aim.yaw) @ truth.T_base_ee[:3, :3].T)
        turn = limit_norm(turn, self._style.turn_rad_s) * self._dt_s
        longest = self._style.closing_m_s * self._dt_s
        self._aperture_m += float(np.clip(aim.aperture_m - self._aperture_m, -longest, longest))
        delta = np.concatenate([self._translation(truth, aim), turn])
        return Action(delta, self._effector.grasp(self._aperture_m))

    def _translation(self, truth: Truth, aim: Aim) -> Vector3:
        position = truth.T_base_ee[:3, 3]
        ahead = position + self._measured_velocity(truth) * self._style.lag_s
        wanted = limit_norm(self._style.gain_hz * _way(aim, ahead), self._style.speed_m_s)
        change = limit_norm(wanted - self._velocity, self._style.acceleration_m_s2 * self._dt_s)
        self._velocity = self._velocity + change
        return self._velocity * self._dt_s

    def _measured_velocity(self, truth: Truth) -> Vector3:
        position = truth.T_base_ee[:3, 3].copy()
        before, self._seen = self._seen, (truth.time_s, position)
        if before is None or truth.time_s <= before[0]:
            return np.zeros(3)
        return (position - before[1]) / (truth.time_s - before[0])


def _way(aim: Aim, position: Vector3) -> Vector3:
    """Vector to go along: over an arch, sideways only as far as the hand is high enough."""
    way = aim.position - position
    if aim.arch_m == 0.0:
        return way
    # A funnel: full height beyond 4 cm, down to the aim within 1 cm.
    aside_m = float(np.hypot(way[0], way[1]))
    way[2] += aim.arch_m * np.clip((aside_m - 0.01) / 0.03, 0.0, 1.0)
    way[:2] *= 1.0 - np.clip(way[2] / 0.04 - 0.5, 0.0, 1.0)
    return way


@dataclass(frozen=True)
class Phase:
    """A stretch of a plan: towards `aim` until `done`, for `at_least_s`.

    lost: the reason for this phase is gone, as when an object slipped: start the plan over.
    within_s: after so long it is given up as well.
    """

    name: str
    aim: Callable[[Truth], Aim]
    done: Callable[[Truth], bool]
    at_least_s: float = 0.0
    within_s: float = 4.0
    lost: Callable[[Truth], bool] = lambda truth: False


class PhasedExpert:
    """Follows phases in order, starts over where one is lost or late, and stays in the last."""

    def __init__(self, phases: Sequence[Phase], mover: Mover) -> None:
        self._phases = phases
        self._mover = mover
        self._index = 0
        self._began_s: float | None = None
        self.attempts = 1

    @property
    def phase(self) -> str:
        """Name of the phase it is in."""
        return self._phases[self._index].name

    def act(self, truth: Truth) -> Action:
        """The next action."""
        if self._began_s is None:
            self._began_s = truth.time_s
        self._advance(truth)
        return self._mover.towards(truth, self._phases[self._index].aim(truth))

    def _advance(self, truth: Truth) -> None:
        phase = self._phases[self._index]
        spent_s = truth.time_s - (self._began_s or 0.0)
        if self._index > 0 and (phase.lost(truth) or spent_s > phase.within_s):
            self._index, self._began_s = 0, truth.time_s
            self.attempts += 1
        elif (
            self._index + 1 < len(self._phases)
            and spent_s >= phase.at_least_s
            and phase.done(truth)
        ):
            self._index, self._began_s = self._index + 1, truth.time_s


def grip_yaw(T_base_body: Pose, T_base_ee: Pose) -> float:
    """Yaw [rad] at which the fingers close along the body's y axis; of the two the nearer.

    Where y stands upright, as in a body that has toppled, along z; an x axis is never closed along.
    """
    across = T_base_body[:2, 1] if abs(T_base_body[2, 1]) < 0.7 else T_base_body[:2, 2]
    return nearer_yaw(float(np.arctan2(-across[0], across[1])), T_base_ee)


def yaw_of(T_base_ee: Pose) -> float:
    """Yaw [rad] of a hand that points down."""
    return float(np.arctan2(T_base_ee[1, 0], T_base_ee[0, 0]))


def nearer_yaw(yaw: float, T_base_ee: Pose) -> float:
    """`yaw` or its opposite [rad], whichever the hand is nearer to."""
    now = yaw_of(T_base_ee)
    return now + (yaw - now + np.pi / 2) % np.pi - np.pi / 2


def reached(truth: Truth, position: Vector3, within_m: float) -> bool:
    """Whether the end effector is at `position`, to `within_m`."""
    return float(np.linalg.norm(truth.T_base_ee[:3, 3] - position)) < within_m
