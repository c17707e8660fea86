"""Laws of rotations, poses and the delta convention."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lam_models import geometry

floats = st.floats(-1.0, 1.0, allow_nan=False)
vectors = st.tuples(floats, floats, floats).map(np.array)
directions = vectors.filter(lambda v: np.linalg.norm(v) > 0.1).map(lambda v: v / np.linalg.norm(v))
angles_rad = st.one_of(
    st.floats(0.0, np.pi),
    st.floats(0.0, 1e-5),
    st.floats(0.0, 1e-5).map(lambda short: np.pi - short),
)
rotations = st.tuples(directions, angles_rad).map(lambda d: geometry.so3_exp(d[0] * d[1]))
poses = st.tuples(rotations, vectors).map(lambda parts: geometry.pose(*parts))


@given(rotations)
def test_a_rotation_is_orthonormal(rotation: np.ndarray):
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


@given(directions, angles_rad)
def test_log_undoes_exp_up_to_half_a_turn(direction: np.ndarray, angle_rad: float):
    rotation = geometry.so3_exp(direction * angle_rad)
    logarithm = geometry.so3_log(rotation)
    assert np.linalg.norm(logarithm) <= np.pi + 1e-9
    np.testing.assert_allclose(geometry.so3_exp(logarithm), rotation, atol=1e-9)
    if angle_rad < np.pi - 1e-3:  # At half a turn both axes are right.
        np.testing.assert_allclose(logarithm, direction * angle_rad, atol=1e-8)


@given(directions)
def test_exp_is_the_integral_of_angular_velocity(direction: np.ndarray):
    """Finite differences: d/ds exp(s w) = w x exp(s w), column by column."""
    step = 1e-6
    ahead = geometry.so3_exp(direction * (0.7 + step))
    behind = geometry.so3_exp(direction * (0.7 - step))
    slope = (ahead - behind) / (2 * step)
    expected = np.cross(direction, geometry.so3_exp(direction * 0.7), axisb=0, axisc=0)
    np.testing.assert_allclose(slope, expected, atol=1e-8)


@given(rotations)
def test_quaternion_round_trip(rotation: np.ndarray):
    quaternion = geometry.quat_from_matrix(rotation)
    assert np.linalg.norm(quaternion) == pytest.approx(1.0)
    assert quaternion[3] >= 0.0
    np.testing.assert_allclose(geometry.matrix_from_quat(quaternion), rotation, atol=1e-9)
    np.testing.assert_allclose(geometry.matrix_from_quat(-3.0 * quaternion), rotation, atol=1e-9)


@given(poses)
def test_inverse(T_a_b: np.ndarray):
    np.testing.assert_allclose(geometry.inverse(T_a_b) @ T_a_b, np.eye(4), atol=1e-12)


@pytest.mark.parametrize("axes", ["base", "ee"])
@given(T_from=poses, T_to=poses)
def test_delta_between_is_what_apply_delta_needs(axes: str, T_from: np.ndarray, T_to: np.ndarray):
    R_base_axes = None if axes == "base" else T_from[:3, :3]
    delta = geometry.delta_between(T_from, T_to, R_base_axes)
    np.testing.assert_allclose(geometry.apply_delta(T_from, delta, R_base_axes), T_to, atol=1e-8)


@given(poses, vectors, vectors)
def test_a_delta_in_ee_axes_multiplies_on_the_right(
    T_base_ee: np.ndarray, translation: np.ndarray, rotation: np.ndarray
):
    delta = np.concatenate([translation, rotation])
    moved = geometry.apply_delta(T_base_ee, delta, T_base_ee[:3, :3])
    T_ee_moved = geometry.pose(geometry.so3_exp(rotation), translation)
    np.testing.assert_allclose(moved, T_base_ee @ T_ee_moved, atol=1e-9)


@given(poses, vectors)
def test_a_rotation_leaves_the_end_effector_where_it_is(
    T_base_ee: np.ndarray, rotation: np.ndarray
):
    moved = geometry.apply_delta(T_base_ee, np.concatenate([np.zeros(3), rotation]))
    np.testing.assert_array_equal(moved[:3, 3], T_base_ee[:3, 3])


@given(vectors, st.floats(0.01, 2.0))
def test_limit_norm_keeps_the_direction(vector: np.ndarray, longest: float):
    limited = geometry.limit_norm(vector, longest)
    assert np.linalg.norm(limited) <= longest + 1e-12
    np.testing.assert_allclose(np.cross(limited, vector), 0.0, atol=1e-12)
    if np.linalg.norm(vector) <= longest:
        np.testing.assert_array_equal(limited, vector)
