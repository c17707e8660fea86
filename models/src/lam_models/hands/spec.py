"""A hand or gripper as its YAML file says it, and the arrays that follow from it.

Its parts are those of spec_parts.py; spec_file.py reads and checks them.

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

from lam_models.hands.spec_parts import (
    DEFAULT_PACE,
    PALM,
    Command,
    EndEffector,
    Fingertip,
    Joint,
    Model,
    Palm,
    Side,
)


@dataclass(frozen=True)
class HandSpec:
    """One hand. `hand` is its name; fingertips are named after the human fingers they stand for.

    key_vectors: pairs (from, to) of "palm" and fingertips: what retargeting compares.
    end_effector: of the robot that carries it; where none is said, grasp.py has nothing to measure.
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
    end_effector: EndEffector | None = None
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
