"""What becomes of a pose on its way through a space, from one hand to another."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from lam_models.hands.human import TIPS
from lam_models.hands.kinematics import Kinematics
from lam_models.hands.pairs import PosePairs
from lam_models.hands.space import HUMAN, HandSpace, human_points

Vectors = Float[np.ndarray, "poses size"]


def transfer(space: HandSpace, source: str, target: str, vectors: Vectors) -> Vectors:
    """What the target hand does when the source does this."""
    return space.coder(target).decode(space.coder(source).encode(vectors))


def fingertips(
    kinematics: Kinematics | None, vectors: Vectors
) -> Float[np.ndarray, "poses tips 3"]:
    """Fingertips [m] in the palm frame of a hand's vectors; kinematics None: the human hand."""
    if kinematics is None:
        return human_points(vectors)[:, TIPS]
    return kinematics.tips(vectors.astype(np.float64))


def cross_errors_m(
    space: HandSpace, pairs: PosePairs, kinematics: Mapping[str, Kinematics]
) -> dict[tuple[str, str], Float[np.ndarray, "poses tips"]]:
    """Cross-reconstruction: how far each fingertip of the target is from where its pair has it.

    For every ordered pair of hands, and for each hand by itself (self-reconstruction).
    """
    names = [HUMAN, *kinematics]
    true = {n: fingertips(kinematics.get(n), pairs.vectors[n]) for n in names}
    latents = {n: space.coder(n).encode(pairs.vectors[n]) for n in names}
    errors = {}
    for target in names:
        coder = space.coder(target)
        for source in names:
            found = fingertips(kinematics.get(target), coder.decode(latents[source]))
            errors[source, target] = np.linalg.norm(found - true[target], axis=-1)
    return errors
