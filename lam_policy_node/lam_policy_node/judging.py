"""Whether a policy's answer makes sense. A policy that answers nonsense is not asked again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lam_models.checkpoint import Spec
from lam_models.policy.opening import hand_space
from lam_models.types import ActionChunk

# A plan that begins further than this from its observation is about another time.
_MOST_AHEAD_S = 1.0


@dataclass(frozen=True)
class Absurd:
    """Faster than anything that can be meant; what is merely too fast is left to the safety."""

    speed_m_s: float = 2.0
    turn_rad_s: float = 10.0


def chunk_fault(chunk: ActionChunk, spec: Spec, observed_ns: int, absurd: Absurd) -> str:
    """Why an answer must not be obeyed, one sentence; "" where it may."""
    steps, space = len(chunk.delta_ee), hand_space(spec)
    shapes = (chunk.delta_ee.shape, chunk.hand.shape)
    wanted = ((steps, 6), (steps, space.shape[0] * space.shape[1]))
    if not steps or shapes != wanted:
        return f"the policy's answer has shapes {shapes}, wanted {wanted} with steps > 0"
    if chunk.hand_space.space_hash != space.space_hash:
        return (
            f"the policy's hand latents are of the space '{chunk.hand_space.name}' "
            f"({chunk.hand_space.space_hash}), its folder says '{space.name}' ({space.space_hash})"
        )
    if chunk.frame != spec.delta_axes:
        return f"the policy's motion has the axes '{chunk.frame}', its folder: '{spec.delta_axes}'"
    if not 0.001 <= chunk.dt_s <= 10.0:
        return f"the policy's steps last {chunk.dt_s:g} s"
    if not (np.isfinite(chunk.delta_ee).all() and np.isfinite(chunk.hand).all()):
        return "the policy's answer is not finite"
    if abs(chunk.start_ns - observed_ns) > _MOST_AHEAD_S * 1e9:
        ahead_s = (chunk.start_ns - observed_ns) / 1e9
        return f"the policy's plan begins {ahead_s:.3g} s after what it saw"
    speeds = np.linalg.norm(chunk.delta_ee.reshape(steps, 2, 3), axis=2).max(axis=0) / chunk.dt_s
    if speeds[0] > absurd.speed_m_s or speeds[1] > absurd.turn_rad_s:
        return f"the policy wants to move at {speeds[0]:.3g} m/s and {speeds[1]:.3g} rad/s"
    return ""
