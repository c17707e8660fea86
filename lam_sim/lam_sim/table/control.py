"""End-effector deltas in, joint targets out: 100 Hz differential inverse kinematics.

The target pose integrates the commands, not the measured pose, so nothing drifts; a leash keeps it
near the measured pose, so nothing winds up against a table or a joint limit. Time is counted in
ticks of 10 ms, and all state lives here and in nothing else.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float64

from lam_models.geometry import (
    Delta,
    Pose,
    apply_delta,
    delta_between,
    limit_norm,
    pose,
    so3_exp,
    so3_log,
)
from lam_sim.table import panda

TICK_HZ = 100
TICK_S = 1.0 / TICK_HZ
ArmJoints = Float64[np.ndarray, "7"]

_LEASH_M = 0.03
_LEASH_RAD = 0.25
_DAMPING = 0.01
_RADIAN_M = 0.25  # what a radian of error weighs: where both cannot be, position comes first
_POSTURE_GAIN = 0.02
_LIMIT_MARGIN_RAD = 0.05
_BRAKING = 0.2  # share of the way to its limit that a joint may go in one tick
_LOWER_RAD = panda.LOWER_RAD + _LIMIT_MARGIN_RAD
_UPPER_RAD = panda.UPPER_RAD - _LIMIT_MARGIN_RAD
_STEP_RAD = panda.MAX_SPEED_RAD_S * TICK_S


class ArmKinematics:
    """The arm alone, with ee_link `grasp_point_m` beyond the flange: forward and inverse."""

    def __init__(self, grasp_point_m: float) -> None:
        spec = mujoco.MjSpec()
        spec.compiler.degree = False
        flange = panda.add_arm(spec)
        flange.add_site(name="ee_link", pos=(0, 0, grasp_point_m))
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._jacobian = np.zeros((6, self._model.nv))

    def forward(self, q_rad: ArmJoints) -> Pose:
        """T_base_ee."""
        self._data.qpos[:] = q_rad
        mujoco.mj_kinematics(self._model, self._data)
        out = np.eye(4)
        out[:3, :3] = self._data.site_xmat[0].reshape(3, 3)
        out[:3, 3] = self._data.site_xpos[0]
        return out

    def toward(
        self,
        q_rad: ArmJoints,
        T_base_target: Pose,
        step_rad: ArmJoints,
        posture_gain: float = _POSTURE_GAIN,
    ) -> ArmJoints:
        """One damped least-squares step to the target, at most `step_rad` a joint, in limits.

        A joint brakes before its limit, and the others take over what it cannot do.
        posture_gain: share of the way to the ready posture made in what the target leaves free.
        """
        error = delta_between(self.forward(q_rad), T_base_target)
        mujoco.mj_comPos(self._model, self._data)
        jacobian = self._jacobian
        mujoco.mj_jacSite(self._model, self._data, jacobian[:3], jacobian[3:], 0)
        jacobian[3:] *= _RADIAN_M
        error[3:] *= _RADIAN_M
        posture = posture_gain * (panda.READY_RAD - q_rad)
        step = _least_squares(jacobian, error, posture)
        lower = _BRAKING * (_LOWER_RAD - q_rad)
        upper = _BRAKING * (_UPPER_RAD - q_rad)
        braked = (step < lower) | (step > upper)
        if braked.any():
            slow = np.where(braked, np.clip(step, lower, upper), 0.0)
            left = error - jacobian @ slow
            step = slow + _least_squares(jacobian * ~braked, left, posture * ~braked)
            step = np.clip(step, lower, upper)
        return q_rad + np.clip(step, -step_rad, step_rad)

    def solve(self, T_base_target: Pose, start_rad: ArmJoints = panda.READY_RAD) -> ArmJoints:
        """The joints that reach the target, from `start_rad`; the nearest ones found if none do."""
        q = start_rad.copy()
        for _ in range(100):
            q = self.toward(q, T_base_target, np.full(7, 0.3))
        return q


def _least_squares(
    jacobian: Float64[np.ndarray, "6 7"], error: Delta, posture: ArmJoints
) -> ArmJoints:
    """J^T (J J^T + d^2 I)^-1 (e - J p) + p: reach the error, and the posture in what is free."""
    gram = jacobian @ jacobian.T
    gram.flat[::7] += _DAMPING**2
    return posture + jacobian.T @ np.linalg.solve(gram, error - jacobian @ posture)


@dataclass
class _Motion:
    """What is left of a delta that is being carried out."""

    per_tick: Delta
    ticks: int


@dataclass(frozen=True)
class Command:
    """Something to be begun at `tick`."""

    tick: int
    delta_ee: Delta | None = None
    ticks: int = 0
    hand: Float64[np.ndarray, " joints"] | None = None


class ArmController:
    """Carries out end-effector deltas within a box of positions, `lower_m` to `upper_m`.

    hull_m: points of the hand in the frame ee_link; however it is turned, they stay above the
        box's floor.
    """

    def __init__(
        self,
        kinematics: ArmKinematics,
        lower_m: Float64[np.ndarray, "3"],
        upper_m: Float64[np.ndarray, "3"],
        hull_m: Float64[np.ndarray, "points 3"],
        latency_ticks: int = 0,
    ) -> None:
        self._kinematics = kinematics
        self._lower_m, self._upper_m, self._hull_m = lower_m, upper_m, hull_m
        self._latency_ticks = latency_ticks
        self.reset(panda.READY_RAD, np.zeros(0))

    def reset(self, q_rad: ArmJoints, hand: Float64[np.ndarray, " joints"]) -> None:
        """Stand still at `q_rad`."""
        self.tick = 0
        self.hand = hand.copy()
        self.T_base_target = self._kinematics.forward(q_rad)
        self._q_rad = q_rad.copy()
        self._pending: deque[Command] = deque()
        self._motions: list[_Motion] = []

    def command(self, delta_ee: Delta, duration_s: float) -> None:
        """Spread a delta evenly over `duration_s`. Deltas that overlap in time add up."""
        ticks = max(1, round(duration_s * TICK_HZ))
        delta = np.array(delta_ee, dtype=np.float64)
        self._pending.append(Command(self.tick + self._latency_ticks, delta, ticks))

    def command_hand(self, targets: Float64[np.ndarray, " joints"]) -> None:
        due = self.tick + self._latency_ticks
        self._pending.append(Command(due, hand=np.array(targets, dtype=np.float64)))

    def advance(self, measured_rad: ArmJoints) -> ArmJoints:
        """Go on one tick; the position targets of the arm's servos [rad]."""
        while self._pending and self._pending[0].tick <= self.tick:
            self._begin(self._pending.popleft())
        self.tick += 1
        moving = bool(self._motions)
        if moving:
            self._move_target(measured_rad)
        before = self._q_rad
        # An arm at rest keeps its elbow where it is.
        gain = _POSTURE_GAIN if moving else 0.0
        self._q_rad = self._kinematics.toward(before, self.T_base_target, _STEP_RAD, gain)
        # Servo damping acts on the whole speed: leading by the lag lets a ramp be followed.
        lead = panda.SERVO_LAG_S * TICK_HZ * (self._q_rad - before)
        return np.clip(self._q_rad + lead, _LOWER_RAD, _UPPER_RAD)

    def _begin(self, command: Command) -> None:
        if command.delta_ee is not None:
            self._motions.append(_Motion(command.delta_ee / command.ticks, command.ticks))
        if command.hand is not None:
            self.hand = command.hand

    def _move_target(self, measured_rad: ArmJoints) -> None:
        target = self.T_base_target
        for motion in self._motions:
            target = apply_delta(target, motion.per_tick)
            motion.ticks -= 1
        self._motions = [motion for motion in self._motions if motion.ticks > 0]
        target = _leashed(target, self._kinematics.forward(measured_rad))
        target[:3, 3] = np.clip(target[:3, 3], self._lower_m, self._upper_m)
        lowest = float((self._hull_m @ target[2, :3]).min())
        target[2, 3] = max(target[2, 3], self._lower_m[2] - lowest)
        self.T_base_target = target


def _leashed(T_base_target: Pose, T_base_measured: Pose) -> Pose:
    """The target, brought nearer to the measured pose where it is too far away."""
    start = T_base_measured[:3, 3]
    position = start + limit_norm(T_base_target[:3, 3] - start, _LEASH_M)
    rotation, measured = T_base_target[:3, :3], T_base_measured[:3, :3]
    # The trace of the relative rotation tells its angle at less cost than its logarithm.
    if (float(np.sum(rotation * measured)) - 1.0) / 2.0 < np.cos(_LEASH_RAD):
        away = so3_log(rotation @ measured.T)
        rotation = so3_exp(limit_norm(away, _LEASH_RAD)) @ measured
    return pose(rotation, position)
