"""What a policy is told of the motion that will happen before its answer can be used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lam_models.types import ActionChunk


@dataclass(frozen=True)
class Committed:
    """The running plan, cut so that its step 0 is due at the observation.

    plan: what would be done without a new answer, with the policy's own dt_s; it may be shorter
        than the answer.
    steps: of these, how many will have been carried out when the answer comes. A policy must
        begin its answer with them (trained to, or guided); what follows is its own to choose.
    """

    plan: ActionChunk
    steps: int

    def numbers(self, steps: int) -> Float[np.ndarray, "steps numbers"]:
        """The plan's first steps; where it is shorter, no motion and its last hand."""
        there = min(steps, len(self.plan.delta_ee))
        delta = np.zeros((steps, 6), np.float32)
        delta[:there] = self.plan.delta_ee[:there]
        hand = self.plan.hand[np.minimum(np.arange(steps), len(self.plan.hand) - 1)]
        return np.concatenate([delta, hand], axis=1)
