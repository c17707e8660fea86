"""The action of a gap of several frames, composed of those of the frames between.

End-effector deltas add up as geometry.apply_delta applies them one after another, in base axes:
translations are summed, rotations multiplied from the left. Every other entry is a target: the last
one of the gap counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int64, Shaped

DELTA_PREFIX = "delta_ee."
_TRANSLATION = tuple(DELTA_PREFIX + axis for axis in ("x", "y", "z"))
_ROTATION = tuple(DELTA_PREFIX + axis for axis in ("rx", "ry", "rz"))

_SMALL_RAD = 1e-6

Quaternions = Float[np.ndarray, "*shape 4"]
Vectors = Float[np.ndarray, "*shape 3"]


def action_groups(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Columns by what they mean: translation, rotation and hand; "action" where nothing tells.

    Groups without columns are left out.
    """
    translation = tuple(i for i, name in enumerate(names) if name in _TRANSLATION)
    rotation = tuple(i for i, name in enumerate(names) if name in _ROTATION)
    rest = tuple(i for i in range(len(names)) if i not in translation + rotation)
    word = "hand" if translation or rotation else "action"
    groups = {"translation": translation, "rotation": rotation, word: rest}
    return {word: columns for word, columns in groups.items() if columns}


def compose(
    actions: Shaped[np.ndarray, "rows size"],
    names: Sequence[str],
    first: Int64[np.ndarray, "*gaps"],
    count: Int64[np.ndarray, "*gaps"],
) -> Shaped[np.ndarray, "*gaps size"]:
    """The action over rows first, ... first + count - 1, for each of the gaps.

    Over no rows it is no motion, and the targets of row `first`.
    """
    groups = action_groups(names)
    out = np.array(actions[first + np.maximum(count - 1, 0)])
    moved = groups.get("translation", ())
    turned = groups.get("rotation", ())
    axes = [_ROTATION.index(names[column]) for column in turned]
    translation = np.zeros((*first.shape, len(moved)))
    rotation = np.zeros((*first.shape, 4))
    rotation[..., 3] = 1.0
    for i in range(int(count.max(initial=0))) if moved or turned else ():
        within = (i < count)[..., None]
        rows = actions[first + np.where(within[..., 0], i, 0)].astype(np.float64)
        translation += np.where(within, rows[..., list(moved)], 0.0)
        vector = np.zeros((*first.shape, 3))
        vector[..., axes] = np.where(within, rows[..., list(turned)], 0.0)
        rotation = quaternion_product(quaternions(vector), rotation)
    out[..., list(moved)] = translation
    out[..., list(turned)] = rotation_vectors(rotation)[..., axes]
    return out


def quaternions(vectors: Vectors) -> Quaternions:
    """(x, y, z, w) of rotation vectors [rad]."""
    angle = np.linalg.norm(vectors, axis=-1, keepdims=True)
    half_sine = np.where(
        angle < _SMALL_RAD, 0.5, np.sin(0.5 * angle) / np.maximum(angle, _SMALL_RAD)
    )
    return np.concatenate([vectors * half_sine, np.cos(0.5 * angle)], axis=-1)


def rotation_vectors(xyzw: Quaternions) -> Vectors:
    """Rotation vectors [rad] of unit quaternions, with angles in [0, pi]."""
    xyzw = np.where(xyzw[..., 3:] < 0.0, -xyzw, xyzw)
    sine = np.linalg.norm(xyzw[..., :3], axis=-1, keepdims=True)
    angle = 2.0 * np.arctan2(sine, xyzw[..., 3:])
    return xyzw[..., :3] * np.where(sine < _SMALL_RAD, 2.0, angle / np.maximum(sine, _SMALL_RAD))


def quaternion_product(left: Quaternions, right: Quaternions) -> Quaternions:
    """The rotation `right` followed by `left`."""
    a, b = left[..., :3], right[..., :3]
    v, w = left[..., 3:], right[..., 3:]
    vector = v * b + w * a + np.cross(a, b)
    return np.concatenate([vector, v * w - (a * b).sum(-1, keepdims=True)], axis=-1)
