"""One number that closes any hand: a path of hand latents between two postures of a human hand.

Every hand of the space decodes the path in its own way: a gripper narrows, fingers bend. The number
is 0 at the open posture and 1 at `closed_at` of the way to the closed one, where thumb and index
finger meet; further on the thumb passes the fingers, and a gripper would open again.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from lam_models.command import unknown
from lam_models.hands.human import mean_hand
from lam_models.hands.postures import POSTURES
from lam_models.hands.space import HUMAN, HandSpace, human_vector

STEPS = 65
_SAME = 1e-6

Path = Float[np.ndarray, "steps dim"]
Latent = Float[np.ndarray, " dim"]


def closing_path(space: HandSpace, opened: str, closed: str, closed_at: float) -> Path:
    """Latents from the open to the closed posture, by their names in hands.postures.

    UserError for an unknown posture, or a space that does not know the human hand.
    """
    for name in (opened, closed):
        if name not in POSTURES:
            raise unknown("posture", name, POSTURES)
    share = np.linspace(0.0, closed_at, STEPS)[:, None]
    angles = (1.0 - share) * POSTURES[opened] + share * POSTURES[closed]
    return space.coder(HUMAN).encode(human_vector(mean_hand().points(angles)))


class Grip:
    """How far a person has closed the hand. value: 0 open to 1 closed, None before they moved it.

    Until then the latent is the one that the hand obeys already, so that a person who takes over
    does not move the hand by doing so.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.astype(np.float64)
        self._held: Latent | None = None
        self.value: float | None = None

    def obeyed(self, latent: Latent) -> None:
        """Somebody else's latent moved the hand."""
        self._held, self.value = np.asarray(latent, np.float64), None

    def move(self, by: float) -> None:
        """Close by a share of the way, open where it is negative, from where the hand is."""
        start = self._nearest() if self.value is None else self.value
        self.value = min(1.0, max(0.0, start + by))

    def latent(self) -> Latent | None:
        """What the hand should obey; None where nothing is known."""
        if self.value is None:
            return self._held
        place = self.value * (len(self._path) - 1)
        low = min(int(place), len(self._path) - 2)
        between = place - low
        latent = (1.0 - between) * self._path[low] + between * self._path[low + 1]
        return latent / max(float(np.linalg.norm(latent)), _SAME)

    def _nearest(self) -> float:
        """The number of the path's latent that is most like the hand's."""
        if self._held is None or self._held.shape != self._path.shape[1:]:
            return 0.0
        return int(np.argmax(self._path @ self._held)) / (len(self._path) - 1)
