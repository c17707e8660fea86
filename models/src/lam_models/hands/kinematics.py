"""Where a hand's fingertips are, and how they move with its joints.

Points are metres in the palm frame that the hand's file names (spec.Palm); a left hand's are
mirrored, so that in this frame all hands are right ones. Vectors of joints are the actuated ones;
coupled joints follow by themselves. Every function takes one pose or any stack of poses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from lam_models import geometry
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_parts import BASE, Fingertip, Vector

Poses = Float[np.ndarray, "*poses actuated"]
Tips = Float[np.ndarray, "*poses tips 3"]


@runtime_checkable
class Kinematics(Protocol):
    """A hand's forward kinematics, from whatever model its file names.

    bones: for each link its parent's index, -1 for none; the order of `skeleton`.
    carriers: for each fingertip the index of the link it is on.
    """

    spec: HandSpec
    bones: tuple[int, ...]
    carriers: tuple[int, ...]

    def tips(self, q: Poses) -> Tips:
        """Fingertips [m], in the order of spec.tips."""
        ...

    def jacobian(self, q: Poses) -> Float[np.ndarray, "*poses tips 3 actuated"]:
        """Derivative of the fingertips by the actuated joints, m/rad or m/m."""
        ...

    def tips_and_jacobian(
        self, q: Poses
    ) -> tuple[Tips, Float[np.ndarray, "*poses tips 3 actuated"]]:
        """Both at once, at little more than the price of one."""
        ...

    def skeleton(self, q: Poses) -> Float[np.ndarray, "*poses links 3"]:
        """Origins of the links, for drawing."""
        ...


def open_kinematics(spec: HandSpec) -> Kinematics:
    """The kinematics of a hand. UserError if its model file or MuJoCo is missing or unfit."""
    if spec.model.primitive is not None:
        return PrimitiveKinematics(spec)
    from lam_models.hands.mujoco_kinematics import MujocoKinematics

    return MujocoKinematics(spec)


def rotation_from_rpy(rpy_rad: Vector) -> Float[np.ndarray, "3 3"]:
    """Turns about the fixed x, then y, then z."""
    turns = (geometry.so3_exp(np.eye(3)[axis] * rpy_rad[axis]) for axis in (2, 1, 0))
    first, second, third = turns
    return first @ second @ third


def palm_pose(spec: HandSpec) -> Float[np.ndarray, "4 4"]:
    """T_link_palm, of the link that the palm is given in."""
    return geometry.pose(rotation_from_rpy(spec.palm.rpy_rad), np.array(spec.palm.at_m))


def mirror(spec: HandSpec) -> Float[np.ndarray, "3"]:
    """What points of a hand are multiplied with, to be those of a right one."""
    return np.array([1.0, -1.0 if spec.side == "left" else 1.0, 1.0])


class PrimitiveKinematics:
    """Kinematics of the links that a hand's file spells out."""

    def __init__(self, spec: HandSpec) -> None:
        primitive = spec.model.primitive
        assert primitive is not None
        self.spec = spec
        links = primitive.links
        names = [BASE, *links]
        self.bones = (-1, *(names.index(link.parent) for link in links.values()))
        self.carriers = tuple(names.index(tip.link) for tip in spec.fingertips.values())
        _, T_base_link = _unroll(spec, Fingertip(spec.palm.link))
        T_palm_base = geometry.inverse(T_base_link @ palm_pose(spec))
        self._tips = _Chains(spec, list(spec.fingertips.values()), T_palm_base)
        self._links = _Chains(spec, [Fingertip(name) for name in names], T_palm_base)
        self._mirror = mirror(spec)

    def tips(self, q: Poses) -> Tips:
        return self._tips.points(q) * self._mirror

    def jacobian(self, q: Poses) -> Float[np.ndarray, "*poses tips 3 actuated"]:
        return self.tips_and_jacobian(q)[1]

    def tips_and_jacobian(
        self, q: Poses
    ) -> tuple[Tips, Float[np.ndarray, "*poses tips 3 actuated"]]:
        points, motion = self._tips.points_and_jacobian(q)
        return points * self._mirror, motion * self._mirror[:, None]

    def skeleton(self, q: Poses) -> Float[np.ndarray, "*poses links 3"]:
        return self._links.points(q) * self._mirror


@dataclass(frozen=True)
class _Step:
    """One joint of a chain: the fixed motion before it, its axis there."""

    joint: str
    T_before: Float[np.ndarray, "4 4"]
    axis: Float[np.ndarray, "3"]


def _unroll(spec: HandSpec, point: Fingertip) -> tuple[list[_Step], Float[np.ndarray, "4 4"]]:
    """The joints from the base to a point, and the fixed motion after the last of them."""
    primitive = spec.model.primitive
    assert primitive is not None
    path, name = [], point.link
    while name != BASE:
        path.append(primitive.links[name])
        name = path[-1].parent
    steps, T = [], np.eye(4)
    for link in reversed(path):
        T = T @ geometry.pose(rotation_from_rpy(link.rpy_rad), np.array(link.at_m))
        if link.joint is not None:
            steps.append(_Step(link.joint, T, np.array(link.axis) / np.linalg.norm(link.axis)))
            T = np.eye(4)
    return steps, T @ geometry.pose(np.eye(3), np.array(point.offset_m))


class _Chains:
    """The joints from the base to each of several points, one chain a point, side by side.

    Chains are padded to the longest with steps that do nothing, so that a step of all of them is
    one product of stacked matrices.
    """

    def __init__(
        self, spec: HandSpec, points: Sequence[Fingertip], T_out_base: Float[np.ndarray, "4 4"]
    ) -> None:
        chains = [_unroll(spec, point) for point in points]
        shape = (max(1, *(len(steps) for steps, _ in chains)), len(chains))
        before = np.tile(np.eye(4), (*shape, 1, 1))
        self._spin, self._slide = np.zeros((*shape, 3, 1)), np.zeros((*shape, 3, 1))
        self._ratio, self._offset = np.zeros((*shape, len(spec.actuated))), np.zeros(shape)
        matrix, offset = spec.coupling()
        for chain, (steps, _) in enumerate(chains):
            for at, step in enumerate(steps):
                row = spec.names.index(step.joint)
                axes = self._slide if spec.kind(step.joint) == "prismatic" else self._spin
                axes[at, chain, :, 0] = step.axis
                before[at, chain] = step.T_before
                self._ratio[at, chain], self._offset[at, chain] = matrix[row], offset[row]
        self._start = T_out_base
        self._end = np.array([T[:3, 3:] for _, T in chains])
        self._turn, self._shift = before[..., :3, :3], before[..., :3, 3:]
        # Rodrigues: turn @ (1 + sin K + (1 - cos) K^2), the products with the constant made here.
        cross = np.cross(np.eye(3), self._spin[..., None, :, 0])
        self._turn_k = self._turn @ cross
        self._turn_kk = self._turn_k @ cross
        self._slides = bool(self._slide.any())

    def _walk(self, q: Poses) -> tuple[np.ndarray, np.ndarray]:
        """Rotation [steps, *poses, chains, 3, 3] and origin [.., 3, 1] after each step."""
        joints = np.moveaxis(np.tensordot(self._ratio, q, axes=(-1, -1)), 1, -1)
        positions = (joints + self._padded(self._offset, q))[..., None, None]
        turn, turn_k, turn_kk = (
            self._padded(constant, q) for constant in (self._turn, self._turn_k, self._turn_kk)
        )
        turns = turn + np.sin(positions) * turn_k + (1.0 - np.cos(positions)) * turn_kk
        shifts = np.broadcast_to(self._padded(self._shift, q), (*turns.shape[:-1], 1))
        if self._slides:
            shifts = shifts + positions * (turn @ self._padded(self._slide, q))
        rotation, origin = self._start[:3, :3], self._start[:3, 3:]
        rotations, origins = np.empty(turns.shape), np.empty(shifts.shape)
        for step, (turn_by, shift_by) in enumerate(zip(turns, shifts, strict=True)):
            origin = origins[step] = origin + rotation @ shift_by
            rotation = rotations[step] = rotation @ turn_by
        return rotations, origins

    @staticmethod
    def _padded(constant: np.ndarray, q: Poses) -> np.ndarray:
        """A constant [steps, chains, ..] as [steps, 1 for each axis of poses, chains, ..]."""
        return constant.reshape(constant.shape[0], *(1,) * (q.ndim - 1), *constant.shape[1:])

    def points(self, q: Poses) -> Tips:
        rotations, origins = self._walk(q)
        return (origins[-1] + rotations[-1] @ self._end)[..., 0]

    def points_and_jacobian(
        self, q: Poses
    ) -> tuple[Tips, Float[np.ndarray, "*poses tips 3 actuated"]]:
        rotations, origins = self._walk(q)
        points = origins[-1] + rotations[-1] @ self._end
        lever = (points - origins)[..., 0]
        motion = _cross((rotations @ self._padded(self._spin, q))[..., 0], lever)
        if self._slides:
            motion = motion + (rotations @ self._padded(self._slide, q))[..., 0]
        return points[..., 0], np.moveaxis(motion, 0, -1) @ np.moveaxis(self._ratio, 0, 1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """np.cross of long stacks, without its overhead on short ones."""
    x, y, z = np.moveaxis(a, -1, 0)
    u, v, w = np.moveaxis(b, -1, 0)
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=-1)
