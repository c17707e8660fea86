"""What retargeting asks of a hand: a target and a weight for each of its key vectors.

keyvector: LAD's energy. Vectors from the palm to the tips, scaled by the fingers' lengths, and
    between the tips. Between thumb and a finger the nearer the human's are, the more their true
    distance counts, and touching human pads, whose tip points are some millimetres apart, are
    asked to touch: pinches close, and nothing else does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lam_models.command import unknown
from lam_models.hands.correspondence import Correspondence
from lam_models.hands.spec import PALM, HandSpec

# Human gaps of thumb and finger tips, m, and the hand's for them: between contact and free.
_HUMAN_GAPS_M = np.array([0.0, 0.012, 0.020, 0.032, 0.050, 1.0])
_HAND_GAPS_M = np.array([0.0, 0.001, 0.005, 0.034, 0.052, 1.002])


@dataclass(frozen=True)
class Objective:
    """Weights are of squares.

    palm, between: of vectors from the palm, and between tips.
    pinch: of the vector between thumb and finger in contact, falling to `between` from
        `closed_m` to `apart_m` of the human's gap. 0 leaves pinches alone.
    posture_m: a joint's whole range off the named slots' posture weighs as much as this.
    smooth_m: the same, off the frame before, in a stream.
    reach_m: a pose is met when its root mean square error is below this.
    """

    palm: float = 1.0
    between: float = 0.5
    pinch: float = 60.0
    closed_m: float = 0.02
    apart_m: float = 0.05
    posture_m: float = 0.006
    smooth_m: float = 0.003
    reach_m: float = 0.03


OBJECTIVES = {"keyvector": Objective(), "vector": Objective(), "dexpilot": Objective()}


def objective(name: str) -> Objective:
    """By name. Errors: UserError for another one."""
    if name not in OBJECTIVES:
        raise unknown("retargeting objective", name, OBJECTIVES)
    return OBJECTIVES[name]


def key_targets(
    wanted: Objective, spec: HandSpec, way: Correspondence, tips: Float[np.ndarray, "poses tips 3"]
) -> tuple[Float[np.ndarray, "poses vectors 3"], Float[np.ndarray, "poses vectors"]]:
    """Targets [m] and weights of the key vectors, of human tips in the order of the hand's."""
    key = spec.key_matrix
    mapped = key @ way.places(tips)
    own = key @ tips
    from_palm = np.array([PALM in ends for ends in spec.key_vectors])
    with_thumb = np.array(["thumb" in ends for ends in spec.key_vectors]) & ~from_palm
    gaps = np.linalg.norm(own, axis=-1)
    wide = np.interp(gaps, _HUMAN_GAPS_M, _HAND_GAPS_M)
    true = own * (wide / np.maximum(gaps, 1e-9))[..., None]
    near = _fall(gaps, wanted.closed_m, wanted.apart_m) * with_thumb
    targets = mapped + near[..., None] * (true - mapped)
    weights = np.where(from_palm, wanted.palm, wanted.between) + near * wanted.pinch
    return targets, weights


def _fall(x: np.ndarray, start: float, end: float) -> np.ndarray:
    """1 up to start, 0 from end on, smooth between."""
    t = np.minimum(np.maximum((x - start) / (end - start), 0.0), 1.0)
    return 1.0 - t * t * (3.0 - 2.0 * t)
