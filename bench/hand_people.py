"""The people of one seed of bench/hands.py: who trains, who tests, and their poses on every hand.

Training, validation and test people are drawn by seeds of their own: no one is in two of them.
Pairs are made once and kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lam_models.hands.human import FINGERS, angles_from_points, draw_subjects
from lam_models.hands.kinematics import Kinematics, open_kinematics
from lam_models.hands.objective import PADS_M
from lam_models.hands.pairs import PosePairs, load_pairs, make_pairs, save_pairs
from lam_models.hands.retarget import is_gripper
from lam_models.hands.space import HUMAN, human_points
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_file import read_hand, shipped_hands
from lam_models.hands.touch import nearest_touches
from lam_models.hands.transfer import fingertips

TOUCH_M = 0.01  # A finger that comes no nearer to the thumb than this cannot pinch.
QUICK_HANDS = ("panda_gripper", "allegro", "inspire_rh56")
# Of each part: the shift of its seed, people and poses of each, and the same for a quick look.
PARTS = {
    "train": (0, (40, 500), (6, 60)),
    "validation": (300_000, (4, 100), (2, 20)),
    "test": (700_000, (10, 100), (4, 50)),
}


@dataclass(frozen=True)
class People:
    """Rows of each part are the same moments on every hand, vectors as hands/space.py has them."""

    specs: Mapping[str, HandSpec]
    kinematics: Mapping[str, Kinematics]
    train: PosePairs
    validation: PosePairs
    test: PosePairs

    @property
    def names(self) -> tuple[str, ...]:
        return (HUMAN, *self.specs)

    @property
    def hands(self) -> tuple[str, ...]:
        """The human hand and those that are no gripper."""
        return tuple(name for name in self.names if not self.is_gripper(name))

    @property
    def grippers(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if self.is_gripper(name))

    def is_gripper(self, name: str) -> bool:
        return name != HUMAN and is_gripper(self.specs[name])

    def fingers(self, name: str) -> tuple[str, ...]:
        """In the order of the tips."""
        return FINGERS if name == HUMAN else self.specs[name].tips

    def tips(self, name: str, vectors: np.ndarray) -> np.ndarray:
        """Fingertips [poses, tips, 3], m."""
        return fingertips(self.kinematics.get(name), vectors)

    def gaps(self, name: str, vectors: np.ndarray) -> np.ndarray:
        """Thumb to each other finger [poses, 4], m, between what touches: a person's tip points
        lie a pad away from it. NaN where there is no such finger."""
        fingers, tips = self.fingers(name), self.tips(name, vectors)
        thumb, gaps = tips[:, fingers.index("thumb")], np.full((len(tips), 4), np.nan)
        for column, finger in enumerate(FINGERS[1:]):
            if finger in fingers:
                apart = tips[:, fingers.index(finger)] - thumb
                gaps[:, column] = np.linalg.norm(apart, axis=-1)
        return np.maximum(gaps - PADS_M, 0.0) if name == HUMAN else gaps

    def touching(self, name: str) -> np.ndarray:
        """Which of the fingers after the thumb the hand can bring to it [4]."""
        if name == HUMAN:
            return np.ones(4, dtype=bool)
        return np.isin(FINGERS[1:], self._touching[name])

    @cached_property
    def _touching(self) -> dict[str, list[str]]:
        return {
            name: [t.finger for t in nearest_touches(kinematics) if t.gap_m < TOUCH_M]
            for name, kinematics in self.kinematics.items()
        }

    def degrees(self, name: str, vectors: np.ndarray) -> np.ndarray:
        """Angles of the revolute joints that are actuated; of the human hand all 21."""
        if name == HUMAN:
            return np.degrees(angles_from_points(human_points(vectors.astype(np.float64))))
        spec = self.specs[name]
        turning = [spec.kind(joint) == "revolute" for joint in spec.actuated]
        return np.degrees(vectors[:, turning].astype(np.float64))

    def opening(self, name: str, vectors: np.ndarray) -> np.ndarray:
        """Width of a gripper as a share of its stroke."""
        closed, opened = self._strokes[name]
        return (self.gaps(name, vectors)[:, 0] - closed) / (opened - closed)

    def sweep(self, name: str, steps: int) -> np.ndarray:
        """Vectors of a gripper that opens evenly [steps, 1]."""
        spec = self.specs[name]
        q = np.linspace(spec.lower, spec.upper, steps).astype(np.float32)
        return q if self.opening(name, q[-1:])[0] > 0.5 else q[::-1]

    @cached_property
    def _strokes(self) -> dict[str, tuple[float, float]]:
        strokes = {}
        for name in self.grippers:
            spec = self.specs[name]
            widths = self.gaps(name, np.linspace(spec.lower, spec.upper, 101))[:, 0]
            strokes[name] = (float(widths.min()), float(widths.max()))
        return strokes


def prepare(folder: Path, seed: int, quick: bool) -> None:
    """Make the pairs that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    specs = [read_hand(name) for name in hand_names(quick)]
    for part, (shift, full, small) in PARTS.items():
        path = folder / f"{part}.npz"
        if path.exists():
            continue
        people, poses = small if quick else full
        subjects = draw_subjects(people, seed + shift)
        save_pairs(path, make_pairs(specs, subjects, poses, seed + shift))


def open_people(folder: Path, quick: bool) -> People:
    """What `prepare` made."""
    specs = {name: read_hand(name) for name in hand_names(quick)}
    kinematics = {name: open_kinematics(spec) for name, spec in specs.items()}
    parts = {part: load_pairs(folder / f"{part}.npz") for part in PARTS}
    return People(specs, kinematics, **parts)


def hand_names(quick: bool) -> tuple[str, ...]:
    return QUICK_HANDS if quick else tuple(shipped_hands())
