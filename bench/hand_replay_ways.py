"""Ways from one hand's postures to another's: through a space, or by inverse kinematics."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from hand_people import People
from hand_retargeting import Retargeting

from lam_models.hands.human import draw_subjects
from lam_models.hands.kinematics import open_kinematics
from lam_models.hands.pairs import make_pairs
from lam_models.hands.space import open_space
from lam_models.hands.spec_file import read_hand

# source, target, vectors of the source -> vectors of the target
Way = Callable[[str, str, np.ndarray], np.ndarray]

_PEOPLE, _POSES, _SEED = 10, 300, 90_001


def ways(hands: Sequence[str]) -> Mapping[str, Way]:
    """By name: the shipped space, and what bench/hands.py calls IK."""
    space = open_space()

    def through(source: str, target: str, vectors: np.ndarray) -> np.ndarray:
        return space.coder(target).decode(space.coder(source).encode(vectors))

    direct = Retargeting(_people(hands))

    def retargeted(source: str, target: str, vectors: np.ndarray) -> np.ndarray:
        return direct.transfer(source, target, vectors.astype(np.float32))

    return {"space": through, "IK": retargeted}


def _people(hands: Sequence[str]) -> People:
    """What IK fits its maps to: poses of a few people on these hands."""
    specs = {name: read_hand(name) for name in hands}
    kinematics = {name: open_kinematics(spec) for name, spec in specs.items()}
    pairs = make_pairs(list(specs.values()), draw_subjects(_PEOPLE, _SEED), _POSES, _SEED)
    return People(specs, kinematics, pairs, pairs, pairs)
