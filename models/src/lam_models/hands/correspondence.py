"""Where a hand's fingertips belong when human ones are somewhere.

Robot thumbs grow elsewhere than human ones and turn about other axes: asked for the human's own
places they reach few. Finger by finger, human tips are therefore scaled by the ratio of the
fingers' lengths, as LAD has it, and also turned and moved. Turn and shift start at the fingers'
roots and are then fitted once for each hand: natural poses are retargeted, and the turn and shift
that fit human tips best to the tips that the hand reached are taken for the next round.

Scale is never fitted, for a fit would shrink what the hand has trouble with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lam_models.hands.human import FINGERS, mean_hand
from lam_models.hands.kinematics import Kinematics

_ROOT_MOVES = 0.2  # A link that moves less than this share of the tip carries the finger's root.


@dataclass(frozen=True)
class Correspondence:
    """A human tip p, calibrated, belongs at scale * turn @ p + shift, both in the palm frames.

    One scale, turn and shift for each of the hand's tips, in their order.
    """

    scale: Float[np.ndarray, " tips"]
    turn: Float[np.ndarray, "tips 3 3"]
    shift: Float[np.ndarray, "tips 3"]

    def places(
        self, tips: Float[np.ndarray, "*poses tips 3"]
    ) -> Float[np.ndarray, "*poses tips 3"]:
        """Where the hand's tips belong for the same human fingers' tips."""
        turned = (self.turn @ tips[..., None])[..., 0]
        return self.scale[:, None] * turned + self.shift

    def fitted(
        self, human: Float[np.ndarray, "poses tips 3"], hand: Float[np.ndarray, "poses tips 3"]
    ) -> Correspondence:
        """The turns and shifts that bring human tips nearest to the hand's (Kabsch)."""
        middle, wanted = human.mean(axis=0), hand.mean(axis=0)
        spread = np.einsum("nfi,nfj->fij", hand - wanted, human - middle)
        left, _, right = np.linalg.svd(spread)
        left[:, :, 2] *= np.sign(np.linalg.det(left @ right))[:, None]
        turn = left @ right
        shift = wanted - self.scale[:, None] * (turn @ middle[..., None])[..., 0]
        return Correspondence(self.scale, turn, shift)


def by_roots(kinematics: Kinematics) -> Correspondence:
    """Each human finger's root on the hand's finger's, nothing turned."""
    human = mean_hand()
    fingers = [FINGERS.index(tip) for tip in kinematics.spec.tips]
    roots, lengths = _fingers(kinematics)
    scale = lengths / human.segments_m.sum(axis=1)[fingers]
    turn = np.tile(np.eye(3), (len(fingers), 1, 1))
    return Correspondence(scale, turn, roots - scale[:, None] * human.roots_m[fingers])


def by_size(kinematics: Kinematics) -> Correspondence:
    """The human's own places, all scaled by how much longer the hand's fingers are."""
    own = by_roots(kinematics)
    scale = np.full_like(own.scale, np.exp(np.log(own.scale).mean()))
    return Correspondence(scale, own.turn, np.zeros_like(own.shift))


def _fingers(kinematics: Kinematics) -> tuple[np.ndarray, np.ndarray]:
    """Root [tips, 3] and length [tips] of each finger, along its links."""
    q = kinematics.spec.sample(64, 0)
    links, tips = kinematics.skeleton(q), kinematics.tips(q)
    moves, reach = (np.abs(of - of.mean(axis=0)).max(axis=(0, 2)) for of in (links, tips))
    roots, lengths = [], []
    for tip, link in enumerate(kinematics.carriers):
        length = np.linalg.norm(tips[0, tip] - links[0, link])
        while moves[link] > _ROOT_MOVES * reach[tip]:
            above = kinematics.bones[link]
            length += np.linalg.norm(links[0, link] - links[0, above])
            link = above
        roots.append(links[:, link].mean(axis=0))
        lengths.append(length)
    return np.array(roots), np.array(lengths)
