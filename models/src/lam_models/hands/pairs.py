"""Pose pairs: the same moments of human hands on every hand, and how much each error matters.

LAD's first stage. People are drawn, their natural poses sampled and retargeted to each hand. Rows
of all arrays are the same moments. A split is by person (`subjects`), never by row: frames of one
person are too alike to say anything about the next.

The error of a decoded pose is measured in the metric of its own fingertips: to first order
|tips(q + e) - tips(q)|^2 = e^T J^T J e. `closeness` is that matrix for each row, the differences of
thumb and finger weighing more the closer they are, so that a pinch closes. It is exact where the
error is to be, and costs no kinematics while training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from lam_models.command import UserError
from lam_models.hands.human import FINGERS, HumanHand, mean_hand
from lam_models.hands.kinematics import Kinematics, open_kinematics
from lam_models.hands.poses import KINDS, Poses, sample
from lam_models.hands.retarget import Retargeter
from lam_models.hands.space import HUMAN, human_vector
from lam_models.hands.spec import HandSpec

UNIT_M = 0.01  # An error of one is a centimetre at the tips.
PINCH_M = 0.02  # The gap over which a pinch's weight falls to a third.
PINCH_WEIGHT = 12.0  # Of a closed thumb-finger pair, against one fingertip.
_JOINT_WEIGHT = 0.02  # Of a whole joint range, for what moves no tip.


@dataclass(frozen=True)
class PosePairs:
    """The same moments on every hand.

    vectors: of each hand by name, "human" among them, as space.py has them.
    closeness: of each hand but the human one, [poses, joints, joints], flattened to one row.
    subjects: number of the person of each row.
    grasps: rows in which the hand holds something, or pinches it with index or middle finger:
        those that the opening of a gripper can stand for.
    """

    vectors: Mapping[str, Float32[np.ndarray, "poses size"]]
    closeness: Mapping[str, Float32[np.ndarray, "poses squared"]]
    subjects: Int64[np.ndarray, " poses"]
    grasps: Bool[np.ndarray, " poses"]

    def __len__(self) -> int:
        return len(self.subjects)

    def take(self, rows: np.ndarray) -> PosePairs:
        """Some of the rows, by index or mask."""
        return PosePairs(
            {name: of[rows] for name, of in self.vectors.items()},
            {name: of[rows] for name, of in self.closeness.items()},
            self.subjects[rows],
            self.grasps[rows],
        )


def make_pairs(
    hands: Sequence[HandSpec],
    subjects: Sequence[HumanHand],
    poses_each: int,
    seed: int,
    advance: Callable[[str], None] = lambda what: None,
) -> PosePairs:
    """`poses_each` natural poses of each person on every hand; a function of its arguments.

    advance: called after each hand with its name.
    """
    mean = mean_hand().length_m
    poses = [sample(hand, poses_each, seed + 1000 * index) for index, hand in enumerate(subjects)]
    points = [
        hand.points(of.angles) * (mean / hand.length_m)
        for hand, of in zip(subjects, poses, strict=True)
    ]
    every = np.concatenate(points)
    vectors = {HUMAN: human_vector(every).astype(np.float32)}
    closeness = {}
    advance(HUMAN)
    for spec in hands:
        if spec.hand in vectors:
            raise UserError(f"hand '{spec.hand}' is there twice")
        kinematics = open_kinematics(spec)
        q = Retargeter(spec, kinematics=kinematics).solve(every).q
        vectors[spec.hand] = q.astype(np.float32)
        closeness[spec.hand] = tip_closeness(kinematics, q).reshape(len(q), -1).astype(np.float32)
        advance(spec.hand)
    numbers = np.repeat(np.arange(len(subjects)), poses_each)
    grasps = np.concatenate([_grasps(of) for of in poses])
    return PosePairs(vectors, closeness, numbers.astype(np.int64), grasps)


def _grasps(poses: Poses) -> Bool[np.ndarray, " poses"]:
    held = np.isin(poses.kinds, [KINDS.index(kind) for kind in ("sphere", "cylinder")])
    return held | np.isin(poses.fingers, [FINGERS.index(name) for name in ("index", "middle")])


def join_people(parts: Sequence[PosePairs]) -> PosePairs:
    """The rows of several people one after another, the people numbered anew."""
    counts = [int(part.subjects.max()) + 1 for part in parts]
    shifts = np.cumsum([0, *counts[:-1]])

    def joined(of: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return {name: np.concatenate([part[name] for part in of]) for name in of[0]}

    return PosePairs(
        joined([part.vectors for part in parts]),
        joined([part.closeness for part in parts]),
        np.concatenate([p.subjects + shift for p, shift in zip(parts, shifts, strict=True)]),
        np.concatenate([part.grasps for part in parts]),
    )


def tip_closeness(
    kinematics: Kinematics, q: Float[np.ndarray, "poses actuated"]
) -> Float[np.ndarray, "poses actuated actuated"]:
    """What an error of the joints means at the tips, in squares of UNIT_M; see above."""
    spec = kinematics.spec
    tips, slopes = kinematics.tips(q), kinematics.jacobian(q)
    thumb = spec.tips.index("thumb")
    others = [index for index in range(len(spec.tips)) if index != thumb]
    gaps = np.linalg.norm(tips[:, others] - tips[:, thumb, None], axis=-1)
    weights = pinch_weights(gaps) / len(others)
    apart = slopes[:, others] - slopes[:, thumb, None]
    size = q.shape[1]
    flat = slopes.reshape(len(q), -1, size)
    matrix = np.swapaxes(flat, 1, 2) @ flat / len(spec.tips)
    pinches = (apart * np.sqrt(weights)[..., None, None]).reshape(len(q), -1, size)
    matrix = (matrix + np.swapaxes(pinches, 1, 2) @ pinches) / UNIT_M**2
    return matrix + np.diag(_JOINT_WEIGHT / (spec.upper - spec.lower) ** 2)


def pinch_weights(gaps_m: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Weight of a thumb-finger difference against that of one fingertip."""
    return PINCH_WEIGHT * np.exp(-gaps_m / PINCH_M)


def save_pairs(path: Path, pairs: PosePairs) -> None:
    """One file, whole or absent."""
    partial = path.with_suffix(".partial")
    parts: dict[str, Any] = {f"vectors.{name}": of for name, of in pairs.vectors.items()}
    parts |= {f"closeness.{name}": of for name, of in pairs.closeness.items()}
    with partial.open("wb") as file:
        np.savez(file, **parts, subjects=pairs.subjects, grasps=pairs.grasps)
    partial.replace(path)


def load_pairs(path: Path) -> PosePairs:
    """What `save_pairs` wrote."""
    with np.load(path, allow_pickle=False) as file:
        content = {name: file[name] for name in file.files}

    def under(prefix: str) -> dict[str, np.ndarray]:
        return {n.removeprefix(prefix): v for n, v in content.items() if n.startswith(prefix)}

    return PosePairs(under("vectors."), under("closeness."), content["subjects"], content["grasps"])
