"""A hand or gripper as its YAML file says it, and the arrays that follow from it.

The dataclasses are the file's schema, key by key; spec_file.py reads and checks them. Lengths are
metres and angles radians throughout, except in the channels of `command`, which speak the driver's
unit (driver.py).

The vector of a hand holds its actuated joints, in the file's order: those that follow no other.
Every joint is an affine function of it, `coupling()`. A joint that no link carries is a motor that
only others follow, such as the width of a gripper with two fingers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float

Side = Literal["right", "left"]
Vector = tuple[float, float, float]
Interface = Literal["topic", "action", "service"]
# Ranges of the joint's limits: 0 to 1, -1 to 1, and the integers 0 to 1000.
Unit = Literal["rad", "deg", "m", "mm", "share", "signed_share", "per_mille"]
RANGE_UNITS = ("share", "signed_share", "per_mille")
PALM = "palm"
BASE = "base"


@dataclass(frozen=True)
class Follows:
    """Coupling: position = offset + ratio * position of `joint`."""

    joint: str
    ratio: float = 1.0
    offset_rad: float | None = None
    offset_m: float | None = None

    @property
    def offset(self) -> float:
        return self.offset_rad or self.offset_m or 0.0


@dataclass(frozen=True)
class Joint:
    """A revolute joint (keys in rad) or a prismatic one (keys in m).

    limits: of a follower they may be left out, and then are what its leader's allow.
    max_speed, max_acceleration: of its commands; by default as in DEFAULT_PACE.
    slot: the human angle it works like (human.ANGLES), "-" before it if they run opposite.
    """

    limits_rad: tuple[float, float] | None = None
    limits_m: tuple[float, float] | None = None
    follows: Follows | None = None
    max_speed_rad_s: float | None = None
    max_speed_m_s: float | None = None
    max_acceleration_rad_s2: float | None = None
    max_acceleration_m_s2: float | None = None
    slot: str = ""

    @property
    def limits(self) -> tuple[float, float] | None:
        return self.limits_m if self.limits_rad is None else self.limits_rad

    @property
    def in_metres(self) -> tuple[str, ...]:
        """Keys in m that are given."""
        return tuple(name for name in _METRE_KEYS if getattr(self, name) is not None)

    @property
    def in_radians(self) -> tuple[str, ...]:
        return tuple(name for name in _RADIAN_KEYS if getattr(self, name) is not None)


_METRE_KEYS = ("limits_m", "max_speed_m_s", "max_acceleration_m_s2")
_RADIAN_KEYS = ("limits_rad", "max_speed_rad_s", "max_acceleration_rad_s2")
# Speed and acceleration of a revolute and of a prismatic joint that names none.
DEFAULT_PACE = {"revolute": (4.0, 40.0), "prismatic": (0.15, 1.5)}


@dataclass(frozen=True)
class Link:
    """A rigid part: its frame in its parent's, then the motion of `joint` about or along `axis`.

    rpy_rad: turns about the parent's fixed x, then y, then z, as URDF has them.
    """

    parent: str = BASE
    at_m: Vector = (0.0, 0.0, 0.0)
    rpy_rad: Vector = (0.0, 0.0, 0.0)
    joint: str | None = None
    axis: Vector = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Primitive:
    """The kinematics in the file itself: links by name, hung on `base`."""

    links: Mapping[str, Link]


@dataclass(frozen=True)
class Model:
    """Where the kinematics are: exactly one of the three.

    mjcf, urdf: a path from the YAML's folder, an absolute one, or "package:path" for a file that
        an installed Python package carries.
    """

    primitive: Primitive | None = None
    mjcf: str | None = None
    urdf: str | None = None


@dataclass(frozen=True)
class Palm:
    """The palm frame of human.py, given in a link that no joint moves.

    Origin at the wrist's middle, z toward the fingers, x out of the palm; y completes it, and so is
    the thumb's side of a right hand. Kinematics give a left hand's points mirrored, y negated, as
    human.py does: in the palm frame all hands are right ones.
    """

    link: str = BASE
    at_m: Vector = (0.0, 0.0, 0.0)
    rpy_rad: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Fingertip:
    """The point that touches: `offset_m` in the frame of a link (MJCF: a body or a site)."""

    link: str
    offset_m: Vector = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Channel:
    """One number of the command: sign * (joint in the command's unit) + offset.

    name: what the driver calls the joint; by default the joint's own name.
    sign: -1 with a unit that is a range turns the range round (1000 = lower limit).
    offset: in the command's unit; none with a unit that is a range.
    """

    joint: str
    name: str = ""
    sign: Literal[1, -1] = 1
    offset: float = 0.0


@dataclass(frozen=True)
class Command:
    """What the hand's driver takes.

    name: of the topic, action or service.
    type: ROS type of its messages, "std_msgs/msg/Float64MultiArray".
    order: one channel for every actuated joint, in the driver's order.
    rate_hz: how often the driver is told.
    on_silence: "hold" says nothing, as the driver keeps its last target; "repeat" says the last
        command again, for a driver that lets go without.
    """

    interface: Interface
    name: str
    type: str
    unit: Unit
    order: tuple[Channel, ...]
    rate_hz: float
    on_silence: Literal["hold", "repeat"]
    reliability: Literal["reliable", "best_effort"] = "reliable"


@dataclass(frozen=True)
class HandSpec:
    """One hand. `hand` is its name; fingertips are named after the human fingers they stand for.

    key_vectors: pairs (from, to) of "palm" and fingertips: what retargeting compares.
    path: the file it came from, which is no key of it.
    """

    hand: str
    side: Side
    joints: Mapping[str, Joint]
    model: Model
    fingertips: Mapping[str, Fingertip]
    key_vectors: tuple[tuple[str, str], ...]
    command: Command
    palm: Palm = field(default_factory=Palm)
    path: Path = Path()

    @property
    def names(self) -> tuple[str, ...]:
        """Every joint, in the file's order."""
        return tuple(self.joints)

    @cached_property
    def actuated(self) -> tuple[str, ...]:
        """The joints of the hand's vector."""
        return tuple(name for name, joint in self.joints.items() if joint.follows is None)

    @cached_property
    def tips(self) -> tuple[str, ...]:
        """Fingers in the file's order: that of every array of tips."""
        return tuple(self.fingertips)

    def kind(self, name: str) -> Literal["revolute", "prismatic"]:
        """Of a joint; a follower without limits of its own moves as its offset says."""
        joint = self.joints[name]
        if joint.limits_m is not None:
            return "prismatic"
        if joint.limits_rad is None and joint.follows is not None:
            if joint.follows.offset_m is not None:
                return "prismatic"
            return "revolute" if joint.follows.offset_rad is not None else self.kind(_leader(joint))
        return "revolute"

    @cached_property
    def _affine(self) -> tuple[np.ndarray, np.ndarray]:
        columns = {name: column for column, name in enumerate(self.actuated)}
        matrix = np.zeros((len(self.joints), len(columns)))
        offset = np.zeros(len(self.joints))
        for row, name in enumerate(self.joints):
            ratio, constant, joint = 1.0, 0.0, self.joints[name]
            while joint.follows is not None:
                constant += ratio * joint.follows.offset
                ratio *= joint.follows.ratio
                name = joint.follows.joint
                joint = self.joints[name]
            matrix[row, columns[name]] = ratio
            offset[row] = constant
        return matrix, offset

    def coupling(self) -> tuple[Float[np.ndarray, "all actuated"], Float[np.ndarray, " all"]]:
        """A, b of: positions of all joints = A @ actuated + b."""
        return self._affine

    def expand(self, q: Float[np.ndarray, "*poses actuated"]) -> Float[np.ndarray, "*poses all"]:
        """Positions of every joint, coupled ones included, in the order of `names`."""
        matrix, offset = self._affine
        return q @ matrix.T + offset

    @cached_property
    def lower(self) -> Float[np.ndarray, " actuated"]:
        return np.array([self._limits(name)[0] for name in self.actuated])

    @cached_property
    def upper(self) -> Float[np.ndarray, " actuated"]:
        return np.array([self._limits(name)[1] for name in self.actuated])

    @cached_property
    def max_speed(self) -> Float[np.ndarray, " actuated"]:
        """rad/s or m/s."""
        return np.array([self._pace(name)[0] for name in self.actuated])

    @cached_property
    def max_acceleration(self) -> Float[np.ndarray, " actuated"]:
        """rad/s2 or m/s2."""
        return np.array([self._pace(name)[1] for name in self.actuated])

    def clip(self, q: Float[np.ndarray, "*poses actuated"]) -> Float[np.ndarray, "*poses actuated"]:
        """The nearest vector within the limits."""
        return np.clip(q, self.lower, self.upper)

    def sample(self, count: int, seed: int) -> Float[np.ndarray, "count actuated"]:
        """Vectors drawn evenly within the limits."""
        rng = np.random.default_rng([seed, 0x4A4D])
        return rng.uniform(self.lower, self.upper, (count, len(self.actuated)))

    def keyvectors(self, tips: Float[np.ndarray, "*poses tips 3"]) -> Float[np.ndarray, "..."]:
        """The key vectors [*poses, vectors, 3] of fingertips in the palm frame."""
        return self.key_matrix @ tips

    @cached_property
    def key_matrix(self) -> Float[np.ndarray, "vectors tips"]:
        """What makes key vectors of fingertips, the palm being the origin."""
        matrix = np.zeros((len(self.key_vectors), len(self.tips)))
        for row, ends in enumerate(self.key_vectors):
            for end, sign in zip(ends, (-1.0, 1.0), strict=True):
                if end != PALM:
                    matrix[row, self.tips.index(end)] = sign
        return matrix

    def _limits(self, name: str) -> tuple[float, float]:
        limits = self.joints[name].limits
        assert limits is not None, name  # spec_file.py has checked it.
        return limits

    def _pace(self, name: str) -> tuple[float, float]:
        joint, (speed, acceleration) = self.joints[name], DEFAULT_PACE[self.kind(name)]
        return (
            joint.max_speed_rad_s or joint.max_speed_m_s or speed,
            joint.max_acceleration_rad_s2 or joint.max_acceleration_m_s2 or acceleration,
        )


def _leader(joint: Joint) -> str:
    assert joint.follows is not None
    return joint.follows.joint
