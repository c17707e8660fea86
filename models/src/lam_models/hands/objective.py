"""What retargeting asks of a hand: a target and a weight for each of its key vectors.

keyvector: LAD's energy. Vectors from the palm to the tips and from the thumb's to the others',
    where the hand's correspondence puts them. The nearer human thumb and finger are, the more
    their own vector counts instead: touching pads, whose tip points are millimetres apart, are
    asked to touch, so that pinches close and nothing else does.
vector: dex-retargeting's of that name. Vectors from the palm to the tips, the human's times one
    number; nothing is said about pinches.
dexpilot: as dex-retargeting has it, after DexPilot (arXiv 1910.03135). The same, and
    vectors between all tips; those of thumb and finger are set to a touch when they are short, and
    let go only when they are longer again.

Departure: all are sums of squares, where dex-retargeting has Huber's loss.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from lam_models.command import unknown
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_parts import PALM

Vectors = Float[np.ndarray, "poses vectors 3"]
Weights = Float[np.ndarray, "poses vectors"]
# Gaps of human thumb and finger tips, m, and the hand's for them. The human's tip points lie a pad
# away from what they touch, a hand's on it: what a person holds, the hand is to hold.
PADS_M = 0.014
_HUMAN_GAPS_M = np.array([0.0, PADS_M, 0.020, 0.034, 1.0])
_HAND_GAPS_M = np.array([0.0, 0.001, 0.004, 0.020, 1.0 - PADS_M])


@dataclass(frozen=True)
class KeyVectors:
    """Which ends (from, to) are compared, and the matrix that makes their vectors of tips."""

    ends: tuple[tuple[str, str], ...]
    matrix: Float[np.ndarray, "vectors tips"]

    @cached_property
    def from_palm(self) -> Bool[np.ndarray, " vectors"]:
        return np.array([PALM in ends for ends in self.ends])

    @cached_property
    def pinches(self) -> Bool[np.ndarray, " vectors"]:
        """Those between the thumb and a finger."""
        return np.array(["thumb" in ends for ends in self.ends]) & ~self.from_palm


@dataclass(frozen=True)
class Blend:
    """Pinches close gradually: nothing jumps as the human's gap changes.

    weight: of the thumb's vector to a finger in contact, falling to nothing over the human gaps
        `firm_m`, so that the finger that touches goes before its neighbours.
    grip: of the same vectors while something is held between thumb and fingers.
    own_m: human gaps over which the target goes from the human's own vector to the mapped one,
        and `grip` to nothing.
    """

    weight: float = 150.0
    firm_m: tuple[float, float] = (0.01, 0.035)
    grip: float = 4.0
    own_m: tuple[float, float] = (0.05, 0.11)


@dataclass(frozen=True)
class Project:
    """Pinches snap shut: S1, thumb and finger nearer than `close_m`, are set to touch until they
    are farther than `open_m`; S2, two fingers that both pinch, are kept `between_m` apart.
    """

    close_m: float = 0.03
    open_m: float = 0.05
    touch_m: float = 1e-4
    between_m: float = 0.03
    weight: float = 200.0
    between_weight: float = 400.0


@dataclass(frozen=True)
class Objective:
    """Weights are of squares.

    palm, between: of vectors from the palm, and between tips.
    all_tips: compare all pairs of tips, not the hand's own key vectors.
    fitted: human tips go where the hand's correspondence says, else only their size is changed.
    posture_m: a joint's whole range off the posture that its slot names weighs as much as this.
    smooth_m: the same, off the frame before, in a stream.
    reach_m: a pose is met when its root mean square error is below this.
    """

    palm: float = 1.0
    between: float = 0.5
    pinch: Blend | Project | None = None
    all_tips: bool = False
    fitted: bool = False
    posture_m: float = 0.006
    smooth_m: float = 0.05
    reach_m: float = 0.03


OBJECTIVES = {
    "keyvector": Objective(pinch=Blend(), fitted=True),
    "vector": Objective(between=0.0),
    "dexpilot": Objective(palm=10.0, between=1.0, pinch=Project(), all_tips=True),
}


def objective(name: str) -> Objective:
    """By name. Errors: UserError for another one."""
    if name not in OBJECTIVES:
        raise unknown("retargeting objective", name, OBJECTIVES)
    return OBJECTIVES[name]


def key_vectors(spec: HandSpec, wanted: Objective) -> KeyVectors:
    """What this objective compares on this hand."""
    if wanted.all_tips:
        pairs = (*((PALM, tip) for tip in spec.tips), *itertools.combinations(spec.tips, 2))
        spec = replace(spec, key_vectors=pairs)
    return KeyVectors(spec.key_vectors, spec.key_matrix)


def key_targets(
    wanted: Objective,
    key: KeyVectors,
    own: Vectors,
    mapped: Vectors,
    held: Bool[np.ndarray, "poses vectors"] | None = None,
) -> tuple[Vectors, Weights]:
    """Targets [m] and weights.

    own: the human's key vectors. mapped: those of where the hand's tips belong. held: pinches
    that were closed the moment before, for an objective that remembers.
    """
    weights = np.where(key.from_palm, wanted.palm, wanted.between)
    weights = np.broadcast_to(weights, own.shape[:-1])
    gaps_m = np.sqrt(np.einsum("nki,nki->nk", own, own))
    if isinstance(wanted.pinch, Blend):
        near = _fall(gaps_m, *wanted.pinch.own_m) * key.pinches
        firm = _fall(gaps_m, *wanted.pinch.firm_m) * key.pinches * wanted.pinch.weight
        firm = firm + near * wanted.pinch.grip
        wide_m = np.interp(gaps_m, _HUMAN_GAPS_M, _HAND_GAPS_M)
        true = own * (wide_m / np.maximum(gaps_m, 1e-9))[..., None]
        return mapped + near[..., None] * (true - mapped), weights + firm
    if isinstance(wanted.pinch, Project):
        return _projected(wanted.pinch, key, own, mapped, weights, pinched(wanted, key, own, held))
    return mapped, weights


def pinched(
    wanted: Objective, key: KeyVectors, own: Vectors, held: np.ndarray | None = None
) -> Bool[np.ndarray, "poses vectors"]:
    """Which of the key vectors are pinches that count as closed."""
    if not isinstance(wanted.pinch, Project):
        return np.zeros(own.shape[:-1], dtype=bool)
    limit_m = wanted.pinch.close_m
    if held is not None:
        limit_m = np.where(held, wanted.pinch.open_m, limit_m)
    return (np.linalg.norm(own, axis=-1) < limit_m) & key.pinches


def _projected(
    way: Project,
    key: KeyVectors,
    own: Vectors,
    mapped: Vectors,
    weights: Weights,
    closed: Bool[np.ndarray, "poses vectors"],
) -> tuple[Vectors, Weights]:
    gaps_m = np.linalg.norm(own, axis=-1)
    fingers = {end for ends, one in zip(key.ends, key.pinches, strict=True) if one for end in ends}
    apart = np.zeros_like(closed)
    for row, ends in enumerate(key.ends):
        if set(ends) <= fingers - {"thumb"}:
            both = [_row(key, "thumb", finger) for finger in ends]
            apart[:, row] = closed[:, both].all(axis=1) & (gaps_m[:, row] < way.between_m)
    wide_m = np.where(closed, way.touch_m, way.between_m)
    set_to = own * (wide_m / np.maximum(gaps_m, 1e-9))[..., None]
    targets = np.where((closed | apart)[..., None], set_to, mapped)
    return targets, np.where(closed, way.weight, np.where(apart, way.between_weight, weights))


def _row(key: KeyVectors, one: str, other: str) -> int:
    """Of the vector between two tips."""
    return next(row for row, ends in enumerate(key.ends) if set(ends) == {one, other})


def _fall(x: np.ndarray, start: float, end: float) -> np.ndarray:
    """1 up to start, 0 from end on, smooth between."""
    t = np.minimum(np.maximum((x - start) / (end - start), 0.0), 1.0)
    return 1.0 - t * t * (3.0 - 2.0 * t)
