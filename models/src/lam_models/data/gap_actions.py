"""The action of a whole time gap, composed of the recorded ones of every frame in it.

Columns whose names say an end-effector delta (delta_ee.x ... delta_ee.rz, as apply_delta of
geometry.py takes them) add up: translations are summed, rotations composed. Every other column, a
gripper's target for one, keeps its last value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from lam_models.geometry import quat_from_matrix, so3_exp

TRANSLATION = ("delta_ee.x", "delta_ee.y", "delta_ee.z")
ROTATION = ("delta_ee.rx", "delta_ee.ry", "delta_ee.rz")

Quaternions = Float64[np.ndarray, "n 4"]


def action_groups(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Columns by what they are: translation, rotation, hand (all else)."""
    groups: Mapping[str, Sequence[str]] = {
        "translation": [name for name in TRANSLATION if name in names],
        "rotation": [name for name in ROTATION if name in names],
        "hand": [name for name in names if name not in TRANSLATION + ROTATION],
    }
    index = {name: i for i, name in enumerate(names)}
    return {group: tuple(index[n] for n in found) for group, found in groups.items() if found}


@dataclass(frozen=True)
class GapActions:
    """Actions of all rows of a dataset; those that led from row a to row b are a, ... b - 1.

    travelled, turned: translation [m] and rotation (quaternion) of all rows before each row.
    """

    actions: Float32[np.ndarray, "rows action"]
    groups: Mapping[str, tuple[int, ...]]
    travelled: Float64[np.ndarray, "rows+1 3"] | None
    turned: Float64[np.ndarray, "rows+1 4"] | None

    @classmethod
    def of(cls, actions: Float32[np.ndarray, "rows action"], names: Sequence[str]) -> GapActions:
        groups = action_groups(names)
        travelled = turned = None
        if len(groups.get("translation", ())) == 3:
            steps = actions[:, list(groups["translation"])].astype(np.float64)
            travelled = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)])
        if len(groups.get("rotation", ())) == 3:
            turned = _turned(actions[:, list(groups["rotation"])].astype(np.float64))
        return cls(actions, groups, travelled, turned)

    def between(
        self, first: Int64[np.ndarray, " n"], last: Int64[np.ndarray, " n"]
    ) -> Float32[np.ndarray, "n action"]:
        """The actions that led from each row `first` to the row `last` of the same episode."""
        out = self.actions[np.maximum(last - 1, first)].astype(np.float32)
        if self.travelled is not None:
            moved = self.travelled[last] - self.travelled[first]
            out[:, list(self.groups["translation"])] = moved
        if self.turned is not None:
            relative = _product(self.turned[last], self.turned[first] * (-1.0, -1.0, -1.0, 1.0))
            out[:, list(self.groups["rotation"])] = _rotation_vectors(relative)
        return out


def _turned(vectors_rad: Float64[np.ndarray, "rows 3"]) -> Float64[np.ndarray, "rows+1 4"]:
    """The product of all rotations before each row, the latest on the left."""
    out = np.empty((len(vectors_rad) + 1, 4))
    out[0] = (0.0, 0.0, 0.0, 1.0)
    for row, vector in enumerate(vectors_rad):
        step = quat_from_matrix(so3_exp(vector))
        product = _product(step[None], out[row : row + 1])
        out[row + 1] = product[0] / np.linalg.norm(product[0])
    return out


def _product(a: Quaternions, b: Quaternions) -> Quaternions:
    """Hamilton products, x y z w."""
    vector = a[:, 3:] * b[:, :3] + b[:, 3:] * a[:, :3] + np.cross(a[:, :3], b[:, :3])
    scalar = a[:, 3] * b[:, 3] - (a[:, :3] * b[:, :3]).sum(1)
    return np.concatenate([vector, scalar[:, None]], axis=1)


def _rotation_vectors(q: Quaternions) -> Float64[np.ndarray, "n 3"]:
    """Rotation vectors [rad] with angles from 0 to pi."""
    q = np.where(q[:, 3:] < 0, -q, q)
    sine = np.linalg.norm(q[:, :3], axis=1, keepdims=True)
    small = sine < 1e-9
    angle = 2.0 * np.arctan2(sine, q[:, 3:])
    return q[:, :3] * np.where(small, 2.0, angle / np.where(small, 1.0, sine))
