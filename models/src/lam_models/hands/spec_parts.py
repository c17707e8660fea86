"""What a hand's YAML file consists of, key by key; spec.py is the whole, spec_file.py reads it.

Lengths are metres and angles radians throughout, except in the channels of `command`, which speak
the driver's unit (driver.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

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
class EndEffector:
    """The frame that a robot calls its end effector, in the palm's link; z is the approach."""

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
