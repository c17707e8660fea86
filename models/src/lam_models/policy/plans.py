"""What a policy remembers of its own plans: what the hand was told, and what it was about to be.

Paper: Zhao et al. 2023, ACT (arXiv 2304.13705), temporal ensembling, here of the hand alone. When a
hand opens is uncertain by some steps, so each plan opens it a little later than now; a policy that
is asked at every step would put it off for ever. What earlier plans said of now speaks with it.
Hand latents lie on a sphere, and so does what plans agree on.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from lam_models.policy.inputs import HELD_STEPS
from lam_models.types import ActionChunk

_KEPT = 32
# So many steps a plan is asked of what it said.
_ASKED_STEPS = 3
_LEAST_LENGTH = 0.1


class Plans:
    """The newest ones, in the order in which they were made."""

    def __init__(self) -> None:
        self._made: deque[ActionChunk] = deque(maxlen=_KEPT)
        self._carried_out: deque[ActionChunk] = deque(maxlen=_KEPT)

    def agreed(self, plan: ActionChunk) -> ActionChunk:
        """Remember a new plan; with the mean of what it and those just before it tell the hand."""
        hand = plan.hand.copy()
        for before in self._made:
            late = _steps(plan.start_ns - before.start_ns, plan.dt_s)
            if not 0 < late <= _ASKED_STEPS:
                continue
            said = before.hand[late : late + len(hand)]
            hand[: len(said)] += said
        length = np.linalg.norm(hand, axis=1, keepdims=True)
        # Plans that contradict each other agree on nothing: the newest one has it.
        hand = np.where(length > _LEAST_LENGTH, hand / length.clip(_LEAST_LENGTH), plan.hand)
        agreed = replace(plan, hand=hand)
        self._made.append(plan)
        self._carried_out.append(agreed)
        return agreed

    def hands_told(self, now_ns: int, latent_dim: int) -> Float32[np.ndarray, " n"]:
        """The hand latents of HELD_STEPS before now, by the newest plan of then; zeros: none."""
        hands = np.zeros((len(HELD_STEPS), latent_dim), np.float32)
        for hand, steps in zip(hands, HELD_STEPS, strict=True):
            for plan in reversed(self._carried_out):
                step = _steps(now_ns - plan.start_ns, plan.dt_s) - steps
                if step >= 0:
                    hand[:] = plan.hand[step] if step < len(plan.hand) else 0.0
                    break
        return hands.reshape(-1)


def _steps(duration_ns: int, dt_s: float) -> int:
    return round(duration_ns / (1e9 * dt_s))
