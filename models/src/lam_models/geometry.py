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

import math

import numpy as np
from jaxtyping import Float

Vector3 = Float[np.ndarray, "3"]
Rotation = Float[np.ndarray, "3 3"]
Pose = Float[np.ndarray, "4 4"]
Delta = Float[np.ndarray, "6"]

_SMALL_RAD = 1e-6


def so3_exp(rotation_vector: Vector3) -> Rotation:
    """Rotation matrix of a rotation vector [rad], through the quaternion."""
    x, y, z = rotation_vector.tolist()
    angle = math.sqrt(x * x + y * y + z * z)
    half_sine = 0.5 if angle < _SMALL_RAD else math.sin(0.5 * angle) / angle
    return matrix_from_quat(
        np.array([x * half_sine, y * half_sine, z * half_sine, math.cos(0.5 * angle)])
    )


def so3_log(rotation: Rotation) -> Vector3:
    """Rotation vector [rad] with angle in [0, pi], through the quaternion: exact near pi too."""
    x, y, z, w = quat_from_matrix(rotation).tolist()
    sine = math.sqrt(x * x + y * y + z * z)
    stretch = 2.0 if sine < _SMALL_RAD else 2.0 * math.atan2(sine, w) / sine
    return np.array([x * stretch, y * stretch, z * stretch])


def quat_from_matrix(rotation: Rotation) -> Float[np.ndarray, "4"]:
    """Unit quaternion (x, y, z, w) with w >= 0."""
    # Scalars: this runs many times in each control period, and arrays of three are slow.
    (a, b, c), (d, e, f), (g, h, i) = rotation.tolist()
    # Four times the square of each component; dividing by the largest is safe.
    four_xx, four_yy, four_zz = 1.0 + a - e - i, 1.0 - a + e - i, 1.0 - a - e + i
    four_ww = 1.0 + a + e + i
    largest = max(four_xx, four_yy, four_zz, four_ww)
    if largest == four_ww:
        q = (h - f, c - g, d - b, four_ww)
    elif largest == four_xx:
        q = (four_xx, b + d, c + g, h - f)
    elif largest == four_yy:
        q = (b + d, four_yy, f + h, c - g)
    else:
        q = (c + g, f + h, four_zz, d - b)
    norm = math.sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3])
    return np.array(q) / (norm if q[3] >= 0.0 else -norm)


def matrix_from_quat(xyzw: Float[np.ndarray, "4"]) -> Rotation:
    """Rotation matrix of a quaternion (x, y, z, w) of any positive length."""
    x, y, z, w = xyzw.tolist()
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    x, y, z, w = x / norm, y / norm, z / norm, w / norm
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


def delta_elsewhere(delta: Delta, lever_m: Vector3) -> Delta:
    """What a delta in base axes moves another point of the same rigid body by.

    lever_m: to that point, in base axes, before the motion.
    """
    swept = so3_exp(delta[3:]) @ lever_m - lever_m
    return np.concatenate([delta[:3] + swept, delta[3:]])


def limit_norm(vector: Float[np.ndarray, " n"], longest: float) -> Float[np.ndarray, " n"]:
    """The vector, shortened to `longest` where it is longer, its direction kept."""
    norm = float(np.linalg.norm(vector))
    return vector * (longest / norm) if norm > longest else vector
