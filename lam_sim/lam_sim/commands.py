"""Which motion commands the simulated robot obeys: the judgement, without ROS and without a clock.

In: commands as they arrived. Out: a delta in base axes to carry out, or the reason it is refused.
A robot that guesses what a broken command meant is a dangerous robot, so nothing is repaired here:
a command is obeyed as it is or refused whole.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from lam_models.geometry import Rotation

BASE_FRAME = "base_link"
EE_FRAME = "ee_link"


@dataclass(frozen=True)
class DeltaCommand:
    """One relative end-effector motion, to be begun at `stamp_ns` and spread over `duration_s`.

    delta_ee: translation m and rotation vector rad, in the axes of `frame`.
    source: "teleop", "policy", "expert" or "unknown".
    """

    delta_ee: Float64[np.ndarray, "6"]
    frame: str
    duration_s: float
    stamp_ns: int
    sequence: int = 0
    source: str = "unknown"


@dataclass(frozen=True)
class CommandLimits:
    """What a sane command looks like. Speeds are those the delta asks for over its duration.

    teleop_hold_s: how long after a person's last command nobody else may command.
    """

    max_age_s: float = 0.25
    max_ahead_s: float = 0.1
    max_duration_s: float = 1.0
    max_speed_m_s: float = 1.5
    max_turn_rad_s: float = 6.0
    teleop_hold_s: float = 0.5


def delta_fault(command: DeltaCommand, now_ns: int, limits: CommandLimits) -> str:
    """Why `command` must not be obeyed, one sentence; "" where it may."""
    if command.frame not in (BASE_FRAME, EE_FRAME):
        return f"frame '{command.frame}' is unknown; known: {BASE_FRAME}, {EE_FRAME}"
    if not np.isfinite(command.delta_ee).all():
        return f"delta {command.delta_ee.tolist()} is not finite"
    if not 0.0 < command.duration_s <= limits.max_duration_s:
        return f"duration {command.duration_s:g} s is outside (0, {limits.max_duration_s:g}]"
    age_s = (now_ns - command.stamp_ns) / 1e9
    if age_s > limits.max_age_s:
        return f"stamp is {age_s:.3g} s old, more than {limits.max_age_s:g}"
    if age_s < -limits.max_ahead_s:
        return f"stamp is {-age_s:.3g} s ahead, more than {limits.max_ahead_s:g}"
    speed_m_s = float(np.linalg.norm(command.delta_ee[:3])) / command.duration_s
    if speed_m_s > limits.max_speed_m_s:
        return f"speed {speed_m_s:.3g} m/s is above {limits.max_speed_m_s:g}"
    turn_rad_s = float(np.linalg.norm(command.delta_ee[3:])) / command.duration_s
    if turn_rad_s > limits.max_turn_rad_s:
        return f"turn rate {turn_rad_s:.3g} rad/s is above {limits.max_turn_rad_s:g}"
    return ""


def in_base_axes(command: DeltaCommand, R_base_ee: Rotation) -> Float64[np.ndarray, "6"]:
    """The command's delta with the axes of the base."""
    if command.frame == BASE_FRAME:
        return command.delta_ee
    return np.concatenate([R_base_ee @ command.delta_ee[:3], R_base_ee @ command.delta_ee[3:]])


def hand_targets(
    names: tuple[str, ...],
    positions: Float64[np.ndarray, " named"],
    joint_names: tuple[str, ...],
    held: Float64[np.ndarray, " joints"],
) -> tuple[Float64[np.ndarray, " joints"], str]:
    """The hand's new targets in the order of `joint_names`, and a fault ("" where there is none).

    A command may name some joints only, the others keep `held`; on a fault all do.
    """
    if len(names) != len(positions):
        return held, f"{len(names)} names but {len(positions)} positions"
    foreign = [name for name in names if name not in joint_names]
    if foreign:
        known = ", ".join(joint_names)
        return held, f"joint '{foreign[0]}' is not of this hand; known: {known}"
    if not np.isfinite(positions).all():
        return held, f"positions {positions.tolist()} are not finite"
    out = held.copy()
    for name, position in zip(names, positions, strict=True):
        out[joint_names.index(name)] = position
    return out, ""


@dataclass
class Refusals:
    """Counts refused commands, and says which reasons are news worth a log line.

    A reason is news once per `topic` and kind, the kind being its text up to the first digit:
    a source that is wrong at 20 Hz must not fill the log.
    """

    total: int = 0
    last: str = ""
    by_kind: Counter[str] = field(default_factory=Counter)

    def count(self, topic: str, fault: str) -> bool:
        """Note a refusal; True when this kind has not been seen since `forget`."""
        digits = [i for i, letter in enumerate(fault) if letter.isdigit()]
        kind = f"{topic}: {fault[: digits[0]] if digits else fault}"
        self.total += 1
        self.last = f"{topic}: {fault}"
        self.by_kind[kind] += 1
        return self.by_kind[kind] == 1

    def forget(self) -> None:
        """Begin a new episode: every kind is news again, the total stays."""
        self.by_kind.clear()
