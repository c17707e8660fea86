"""Rotations, poses and the one end-effector delta convention.

`T_a_b` is the pose of frame b in frame a as a 4x4 matrix. Rotations are 3x3 matrices or rotation
vectors (rad) here; quaternions (x, y, z, w) exist only where messages are translated.

The delta convention, said once for the whole project: an end-effector delta is a translation t [m]
and a rotation vector w [rad] whose axes are those of a named frame and whose centre of rotation is
the end effector's origin,

    p' = p + A t          R' = exp(A w) R

where A turns the named frame's axes into base axes (the identity for the base frame, R for the end
effector's own frame, where it equals a multiplication on the right: R' = R exp(w)).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

Vector3 = Float[np.ndarray, "3"]
Rotation = Float[np.ndarray, "3 3"]
Pose = Float[np.ndarray, "4 4"]
Delta = Float[np.ndarray, "6"]

_SMALL_RAD = 1e-6


def skew(v: Vector3) -> Rotation:
    """Matrix of the cross product: skew(a) @ b == cross(a, b)."""
    x, y, z = v
    return np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])


def so3_exp(rotation_vector: Vector3) -> Rotation:
    """Rotation matrix of a rotation vector [rad] (Rodrigues, series near zero)."""
    angle = float(np.linalg.norm(rotation_vector))
    k = skew(rotation_vector)
    if angle < _SMALL_RAD:
        return np.eye(3) + k + 0.5 * k @ k
    return np.eye(3) + np.sin(angle) / angle * k + (1.0 - np.cos(angle)) / angle**2 * k @ k


def so3_log(rotation: Rotation) -> Vector3:
    """Rotation vector [rad] with angle in [0, pi], through the quaternion: exact near pi too."""
    x, y, z, w = quat_from_matrix(rotation)
    axis = np.array([x, y, z])
    sine = float(np.linalg.norm(axis))
    if sine < _SMALL_RAD:
        return 2.0 * axis
    return 2.0 * np.arctan2(sine, w) / sine * axis


def quat_from_matrix(rotation: Rotation) -> Float[np.ndarray, "4"]:
    """Unit quaternion (x, y, z, w) with w >= 0."""
    r = rotation
    # The four squared components up to a factor; the largest one is the safe divisor.
    squares = np.array(
        [
            1.0 + r[0, 0] - r[1, 1] - r[2, 2],
            1.0 - r[0, 0] + r[1, 1] - r[2, 2],
            1.0 - r[0, 0] - r[1, 1] + r[2, 2],
            1.0 + r[0, 0] + r[1, 1] + r[2, 2],
        ]
    )
    rows = np.array(
        [
            [squares[0], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0], r[2, 1] - r[1, 2]],
            [r[0, 1] + r[1, 0], squares[1], r[1, 2] + r[2, 1], r[0, 2] - r[2, 0]],
            [r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], squares[2], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], squares[3]],
        ]
    )
    q = rows[int(np.argmax(squares))]
    q = q / np.linalg.norm(q)
    return -q if q[3] < 0.0 else q


def matrix_from_quat(xyzw: Float[np.ndarray, "4"]) -> Rotation:
    """Rotation matrix of a quaternion (x, y, z, w) of any positive length."""
    x, y, z, w = np.asarray(xyzw, dtype=np.float64) / np.linalg.norm(xyzw)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def pose(rotation: Rotation, position: Vector3) -> Pose:
    """Assemble T from R and p [m]."""
    out = np.eye(4)
    out[:3, :3] = rotation
    out[:3, 3] = position
    return out


def inverse(T_a_b: Pose) -> Pose:
    """T_b_a."""
    rotation = T_a_b[:3, :3].T
    return pose(rotation, -rotation @ T_a_b[:3, 3])


def apply_delta(T_base_ee: Pose, delta_ee: Delta, R_base_axes: Rotation | None = None) -> Pose:
    """The pose after a delta; `R_base_axes` is A above (None: the delta is in base axes)."""
    t, w = delta_ee[:3], delta_ee[3:]
    if R_base_axes is not None:
        t, w = R_base_axes @ t, R_base_axes @ w
    return pose(so3_exp(w) @ T_base_ee[:3, :3], T_base_ee[:3, 3] + t)


def delta_between(T_base_from: Pose, T_base_to: Pose, R_base_axes: Rotation | None = None) -> Delta:
    """The delta that apply_delta turns `T_base_from` into `T_base_to` with."""
    t = T_base_to[:3, 3] - T_base_from[:3, 3]
    w = so3_log(T_base_to[:3, :3] @ T_base_from[:3, :3].T)
    if R_base_axes is not None:
        t, w = R_base_axes.T @ t, R_base_axes.T @ w
    return np.concatenate([t, w])


def limit_norm(vector: Float[np.ndarray, " n"], longest: float) -> Float[np.ndarray, " n"]:
    """The vector, shortened to `longest` where it is longer, its direction kept."""
    norm = float(np.linalg.norm(vector))
    return vector * (longest / norm) if norm > longest else vector
