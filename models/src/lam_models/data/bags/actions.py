"""What was commanded, by whom, and what was measured, over each step of a grid.

A delta command is spread evenly over its duration from its start; a step gets the share that falls
into it, so that nothing is counted twice or lost wherever the grid lies. Shares add up as
geometry.apply_delta applies them one after another, in base axes. A hand's target is the newest one
given before the step is over.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from lam_models.command import UserError
from lam_models.data.bags.reading import DeltaCommand, Poses
from lam_models.geometry import Pose, delta_between, pose, so3_exp, so3_log

# A person who teleoperates wins: for this long after a command nobody else's is obeyed.
TELEOP_HOLD_NS = 500_000_000
NOBODY, TELEOP = 0, 1

Ticks = Int64[np.ndarray, " steps"]
Targets = Sequence[tuple[int, dict[str, float]]]


@dataclass(frozen=True)
class Steps:
    """Steps of `period_ns` from each of `ticks_ns` on."""

    ticks_ns: Ticks
    period_ns: int

    def touched(self, start_ns: int, stop_ns: int) -> range:
        """Steps that overlap the stretch of time."""
        first = int(np.searchsorted(self.ticks_ns, start_ns - self.period_ns, side="right"))
        return range(first, int(np.searchsorted(self.ticks_ns, stop_ns, side="left")))


@dataclass(frozen=True)
class Commanded:
    """delta_ee: m and rad, in base axes. source: who commanded, as EndEffectorDelta numbers it."""

    delta_ee: Float64[np.ndarray, "steps 6"]
    source: Int64[np.ndarray, " steps"]


def obeyed(commands: Sequence[DeltaCommand]) -> list[DeltaCommand]:
    """The commands a robot carries out: sane ones that need not yield to a person's."""
    teleop_ns = [command.start_ns for command in commands if command.source == TELEOP]
    out = []
    for command in commands:
        if command.duration_ns <= 0 or not np.isfinite(command.delta_ee).all():
            continue
        last = bisect_right(teleop_ns, command.start_ns) - 1
        recent = last >= 0 and command.start_ns - teleop_ns[last] < TELEOP_HOLD_NS
        if command.source == TELEOP or not recent:
            out.append(command)
    return out


def commanded(
    commands: Sequence[DeltaCommand], steps: Steps, poses: Poses, base_frame: str, ee_frame: str
) -> Commanded:
    """What these commands (by start) make of each step."""
    count = len(steps.ticks_ns)
    translation, rotation = np.zeros((count, 3)), np.tile(np.eye(3), (count, 1, 1))
    source, weight = np.zeros(count, np.int64), np.zeros(count)
    for command in commands:
        stop_ns = command.start_ns + command.duration_ns
        delta = _in_base_axes(command, poses, base_frame, ee_frame)
        for step in steps.touched(command.start_ns, stop_ns):
            tick_ns = int(steps.ticks_ns[step])
            overlap_ns = min(stop_ns, tick_ns + steps.period_ns) - max(command.start_ns, tick_ns)
            share = overlap_ns / command.duration_ns
            translation[step] += share * delta[:3]
            rotation[step] = so3_exp(share * delta[3:]) @ rotation[step]
            # A touch of the hand marks the whole step: that is what an intervention is.
            rank = float("inf") if command.source == TELEOP else overlap_ns
            if rank >= weight[step]:
                source[step], weight[step] = command.source, rank
    turns = np.array([so3_log(one) for one in rotation]).reshape(count, 3)
    return Commanded(np.concatenate([translation, turns], axis=1), source)


def _in_base_axes(
    command: DeltaCommand, poses: Poses, base_frame: str, ee_frame: str
) -> Float64[np.ndarray, "6"]:
    if command.frame == base_frame:
        return command.delta_ee
    if command.frame != ee_frame:
        raise UserError(
            f"a command is in the axes of '{command.frame}'; known: {base_frame}, {ee_frame}"
        )
    axes = poses.at(command.start_ns)[:3, :3]
    return np.concatenate([axes @ command.delta_ee[:3], axes @ command.delta_ee[3:]])


def hand_targets(
    targets: Targets, measured: Targets, steps: Steps, joints: Sequence[str]
) -> Float64[np.ndarray, "steps joints"]:
    """The newest target of each joint before a step is over; until the first, where it stands."""
    out = np.empty((len(steps.ticks_ns), len(joints)))
    ends_ns = steps.ticks_ns + steps.period_ns
    for column, joint in enumerate(joints):
        given = [(stamp, target[joint]) for stamp, target in targets if joint in target]
        stamps = [stamp for stamp, _ in given]
        values = np.array([_standing(measured, joint, given), *(value for _, value in given)])
        newest = [bisect_left(stamps, int(end_ns)) for end_ns in ends_ns]
        out[:, column] = values[newest]
    return out


def _standing(measured: Targets, joint: str, given: Sequence[tuple[int, float]]) -> float:
    """Where a joint is at first; its first target where it is not reported."""
    for _, positions in measured:
        if joint in positions:
            return positions[joint]
    return given[0][1] if given else 0.0


def measured_motion(poses: Poses, steps: Steps, shift_ns: int) -> Float64[np.ndarray, "steps 6"]:
    """The motion of the end effector over each step, `shift_ns` later, in base axes [m, rad]."""
    starts = [pose_between(poses, int(tick) + shift_ns) for tick in steps.ticks_ns]
    stops = [pose_between(poses, int(tick) + steps.period_ns + shift_ns) for tick in steps.ticks_ns]
    deltas = [delta_between(a, b) for a, b in zip(starts, stops, strict=True)]
    return np.array(deltas).reshape(len(starts), 6)


def pose_between(poses: Poses, now_ns: int) -> Pose:
    """The pose at an instant, on the straight way between its neighbours; no further than these."""
    after = bisect_right(poses.stamps_ns, now_ns)
    if after == 0 or after == len(poses.stamps_ns):
        return poses.poses[max(0, after - 1)]
    a, b = poses.poses[after - 1], poses.poses[after]
    start_ns, stop_ns = poses.stamps_ns[after - 1], poses.stamps_ns[after]
    share = (now_ns - start_ns) / (stop_ns - start_ns)
    turn = so3_exp(share * so3_log(b[:3, :3] @ a[:3, :3].T))
    return pose(turn @ a[:3, :3], a[:3, 3] + share * (b[:3, 3] - a[:3, 3]))


def measured_joints(
    measured: Targets, steps: Steps, joints: Sequence[str], shift_ns: int
) -> Float64[np.ndarray, "steps joints"]:
    """Where the joints are at the end of each step, `shift_ns` later."""
    ends_ns = steps.ticks_ns + steps.period_ns + shift_ns
    out = np.zeros((len(ends_ns), len(joints)))
    for column, joint in enumerate(joints):
        known = [(stamp, values[joint]) for stamp, values in measured if joint in values]
        if known:
            # From a common origin: nanoseconds since 1970 do not fit a float.
            origin = known[0][0]
            at = np.array([stamp - origin for stamp, _ in known], np.float64)
            out[:, column] = np.interp(ends_ns - origin, at, [value for _, value in known])
    return out
