"""The last word on a motion: passed, limited or stopped, and why. A pure function of its arguments.

A motion [translation m, rotation vector rad] is for one period of `dt_s` and has the axes of the
base. What leaves here never exceeds the speeds and accelerations, and never leaves the workspace:
before a wall it brakes early enough to respect the acceleration, too. A motion so long that it
cannot be meant is not shortened but stopped.

Where the target stands is known from the commands; the measured pose sets it at the start and
whenever both differ by more than `max_tracking_error_m` (a blocked arm must not jump later).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float64

Delta = Float64[np.ndarray, "6"]
Vector = Float64[np.ndarray, "3"]
# Along x, y, z. Plain numbers: with arrays of three a judgement took three times as long.
Three = list[float]
Walls = tuple[Three, Three]

# Rounding must not turn a passed motion into a limited one.
_TOLERANCE = 1e-9
_NO_WALLS = ([-math.inf] * 3, [math.inf] * 3)


@dataclass(frozen=True)
class Limits:
    """workspace_*: corners of the box for the end effector's origin, in the base frame.

    max_step_*: a longer motion in one period is stopped. watchdog_s: longest time between two
    judgements, and greatest age of what the motion was decided on.
    """

    max_speed_m_s: float = 0.5
    max_turn_rad_s: float = 1.5
    max_acceleration_m_s2: float = 5.0
    max_turn_acceleration_rad_s2: float = 15.0
    workspace_lower_m: tuple[float, ...] = ()
    workspace_upper_m: tuple[float, ...] = ()
    max_step_m: float = 0.1
    max_step_rad: float = 0.5
    max_tracking_error_m: float = 0.1
    watchdog_s: float = 0.5


@dataclass(frozen=True)
class State:
    """What the judgements before have left: velocities [m/s, rad/s], the target, when it was."""

    velocity: Delta = field(default_factory=lambda: np.zeros(6))
    target_m: Vector | None = None
    judged_ns: int | None = None


@dataclass(frozen=True)
class Asked:
    """A motion and what it rests on.

    observed_ns: exposure of the newest observation behind it.
    measured_m: the end effector's position, None where it is not known.
    """

    motion: Delta
    observed_ns: int
    measured_m: Vector | None = None


@dataclass(frozen=True)
class Verdict:
    """limits: names of those that acted. reason: a sentence, "" where passed."""

    verdict: Literal["passed", "limited", "stopped"]
    requested: Delta
    allowed: Delta
    limits: tuple[str, ...] = ()
    reason: str = ""


def judge(
    asked: Asked, dt_s: float, now_ns: int, limits: Limits, state: State
) -> tuple[Verdict, State]:
    """The verdict on the motion of a period that begins at `now_ns`, and the state for the next."""
    if stop := _stop(asked, now_ns, limits, state):
        # Whatever is stopped stands still: the next motion begins from rest, where the arm is.
        return Verdict("stopped", asked.motion, np.zeros(6), *stop), State(judged_ns=now_ns)
    acted: list[str] = []
    asked_m_s, asked_rad_s = _halves(asked.motion / dt_s)
    linear = _note("max_speed_m_s", asked_m_s, limits.max_speed_m_s, acted)
    turning = _note("max_turn_rad_s", asked_rad_s, limits.max_turn_rad_s, acted)
    target_m = _target(asked.measured_m, limits, state)
    walls = _walls(target_m, dt_s, limits)
    inside = _clip(linear, walls)
    if not _same(inside, linear):
        acted.append("workspace")
    was_m_s, was_rad_s = _halves(state.velocity)
    moved = _approach(was_m_s, inside, limits.max_acceleration_m_s2 * dt_s, walls)
    if not _same(moved, inside):
        acted.append("max_acceleration_m_s2")
    most_rad_s = limits.max_turn_acceleration_rad_s2 * dt_s
    turned = _approach(was_rad_s, turning, most_rad_s, _NO_WALLS)
    if not _same(turned, turning):
        acted.append("max_turn_acceleration_rad_s2")
    velocity = np.array([*moved, *turned])
    after = State(velocity, None if target_m is None else target_m + velocity[:3] * dt_s, now_ns)
    reason = f"shortened by {', '.join(acted)}" if acted else ""
    kind = "limited" if acted else "passed"
    return Verdict(kind, asked.motion, velocity * dt_s, tuple(acted), reason), after


def _stop(
    asked: Asked, now_ns: int, limits: Limits, state: State
) -> tuple[tuple[str, ...], str] | None:
    """Name of the limit and a sentence, where the motion must not happen at all."""
    length_m, angle_rad = (math.hypot(*half) for half in _halves(asked.motion))
    if not math.isfinite(length_m + angle_rad):
        return ("finite",), f"the motion {asked.motion.tolist()} is not finite"
    if length_m > limits.max_step_m:
        return ("max_step_m",), f"a step of {length_m:.3g} m is above {limits.max_step_m:g}"
    if angle_rad > limits.max_step_rad:
        return ("max_step_rad",), f"a turn of {angle_rad:.3g} rad is above {limits.max_step_rad:g}"
    age_s = (now_ns - asked.observed_ns) / 1e9
    if age_s > limits.watchdog_s:
        return ("watchdog_s",), (
            f"the motion rests on an observation {age_s:.3g} s old, limit {limits.watchdog_s:g}"
        )
    if state.judged_ns is not None and (gap_s := (now_ns - state.judged_ns) / 1e9) > (
        limits.watchdog_s
    ):
        return ("watchdog_s",), f"no motion for {gap_s:.3g} s, limit {limits.watchdog_s:g}"
    if limits.workspace_lower_m and asked.measured_m is None:
        return ("workspace",), "the end effector's position is not known"
    return None


def _halves(six: Delta) -> tuple[Three, Three]:
    numbers = six.tolist()
    return numbers[:3], numbers[3:]


def _note(limit: str, velocity: Three, most: float, acted: list[str]) -> Three:
    """The velocity, shortened to `most`; its limit's name is added where it was."""
    short = _shortened(velocity, most)
    if not _same(short, velocity):
        acted.append(limit)
    return short


def _target(measured_m: Vector | None, limits: Limits, state: State) -> Vector | None:
    if state.target_m is None or measured_m is None:
        return measured_m if state.target_m is None else state.target_m
    error_m = float(np.linalg.norm(state.target_m - measured_m))
    return measured_m if error_m > limits.max_tracking_error_m else state.target_m


def _walls(target_m: Vector | None, dt_s: float, limits: Limits) -> Walls:
    """Lowest and highest velocity along each axis from which it can still stop at the walls.

    Each axis may brake with a share of the acceleration, so that all three together respect it.
    Outside the box only the way back is open.
    """
    if target_m is None or not limits.workspace_lower_m:
        return _NO_WALLS
    # Lost in a period of braking.
    lost_m_s = limits.max_acceleration_m_s2 / math.sqrt(3.0) * dt_s

    def fastest(room_m: float) -> float:
        # The v with v^2 / (2 brake) = room - v dt: what is left after this period.
        return math.sqrt(lost_m_s**2 + 2.0 * lost_m_s / dt_s * max(room_m, 0.0)) - lost_m_s

    at_m = target_m.tolist()
    lower = [-fastest(at - wall) for at, wall in zip(at_m, limits.workspace_lower_m, strict=True)]
    upper = [fastest(wall - at) for at, wall in zip(at_m, limits.workspace_upper_m, strict=True)]
    return lower, upper


def _approach(before: Three, wanted: Three, most: float, walls: Walls) -> Three:
    """From `before` towards `wanted` by at most `most`, the walls first."""
    forced = _clip(before, walls)
    left = max(0.0, most - math.dist(forced, before))
    way = _shortened([w - f for w, f in zip(wanted, forced, strict=True)], left)
    return [f + w for f, w in zip(forced, way, strict=True)]


def _shortened(vector: Three, longest: float) -> Three:
    """As geometry.limit_norm."""
    norm = math.hypot(*vector)
    return [x * (longest / norm) for x in vector] if norm > longest else vector


def _clip(vector: Three, walls: Walls) -> Three:
    return [min(max(x, low), high) for x, low, high in zip(vector, *walls, strict=True)]


def _same(a: Three, b: Three) -> bool:
    return all(abs(x - y) <= _TOLERANCE for x, y in zip(a, b, strict=True))
