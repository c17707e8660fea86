"""What a policy remembers of its own plans: what the hand was told, and what it was about to be.

Paper: Zhao et al. 2023, ACT (arXiv 2304.13705), temporal ensembling, here of the hand alone. When a
hand opens is uncertain by some steps, so each plan opens it a little later than now; a policy that
is asked at every step would put it off for ever. What earlier plans said of now speaks with it.
ACT takes a mean, this takes a vote.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from lam_models.policy.inputs import HELD_STEPS
from lam_models.types import ActionChunk

_KEPT = 32
# So many steps a plan is asked of what it said.
_ASKED_STEPS = 3


class Plans:
    """The newest ones, in the order in which they were made."""

    def __init__(self) -> None:
        self._made: deque[ActionChunk] = deque(maxlen=_KEPT)
        self._carried_out: deque[ActionChunk] = deque(maxlen=_KEPT)

    def agreed(self, plan: ActionChunk) -> ActionChunk:
        """Remember a new plan; its hand is told what it and those just before it most agree on."""
        said = [plan.hand]
        for before in reversed(self._made):
            late = _steps(plan.start_ns - before.start_ns, plan.dt_s)
            if 0 < late <= _ASKED_STEPS:
                said.append(before.hand[late:])
        hand = [_agreed([one[i] for one in said if i < len(one)]) for i in range(len(plan.hand))]
        agreed = replace(plan, hand=np.stack(hand))
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


def _agreed(latents: Sequence[Float32[np.ndarray, " n"]]) -> Float32[np.ndarray, " n"]:
    """The one that all are nearest to, of equals the first.

    One of them, not their mean: between an open and a closed hand lies what no hand was taught.
    """
    together = np.stack(latents)
    return together[np.argmax((together @ together.sum(0)).round(3))]


def _steps(duration_ns: int, dt_s: float) -> int:
    return round(duration_ns / (1e9 * dt_s))
