"""Which latent actions a hand obeys. Every refusal says in words what was found and expected."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float, Float32

from lam_models.types import LatentSpec

Kind = Literal["ok", "foreign_space", "shape", "not_finite", "off_sphere", "stale", "ahead"]
NS_PER_S = 1_000_000_000
# A stamp further ahead means that two clocks disagree.
MAX_AHEAD_NS = NS_PER_S // 10
# A plan for longer would keep the hand going without anyone who looks.
MAX_PLAN_NS = 10 * NS_PER_S


@dataclass(frozen=True)
class Heard:
    """A latent action as it came: `values` holds `horizon` latents of `dim` numbers.

    The first latent is due latency_ns after stamp_ns, the others step_ns after one another.
    """

    space: str
    space_hash: str
    horizon: int
    dim: int
    values: Float32[np.ndarray, " numbers"]
    stamp_ns: int
    latency_ns: int = 0
    step_ns: int = 0


@dataclass(frozen=True)
class Rules:
    """max_age_s: of the observation behind a latent. tolerance: of a latent's length about 1."""

    max_age_s: float = 1.0
    tolerance: float = 0.05


@dataclass(frozen=True)
class Verdict:
    """Why a latent action is refused, or its latents, brought to length 1."""

    kind: Kind
    words: str = ""
    latents: Float[np.ndarray, "horizon dim"] | None = None


def judge(heard: Heard, space: LatentSpec, rules: Rules, now_ns: int) -> Verdict:
    """Obey or refuse. Faults of the wiring come before those of the numbers."""
    if heard.space_hash != (ours := _hash(space)):
        return Verdict(
            "foreign_space",
            f"the latent belongs to the space '{heard.space}' ({heard.space_hash}), "
            f"this hand's decoder to '{space.name}' ({ours})",
        )
    dim, count = space.shape[1], len(heard.values)
    if heard.horizon < 1 or heard.dim != dim or count != heard.horizon * heard.dim:
        return Verdict(
            "shape",
            f"{count} numbers, said to be {heard.horizon} latents of {heard.dim}; "
            f"the space '{space.name}' has {dim}",
        )
    if heard.horizon > 1 and heard.step_ns <= 0:
        return Verdict("shape", f"{heard.horizon} latents with no time between them")
    if refusal := _time(heard, rules, now_ns):
        return refusal
    return _numbers(heard.values.reshape(heard.horizon, dim), rules.tolerance)


@lru_cache(maxsize=8)
def _hash(space: LatentSpec) -> str:
    """Its 70 µs are a good part of what an answer may cost."""
    return space.space_hash


def _time(heard: Heard, rules: Rules, now_ns: int) -> Verdict | None:
    age_ns = now_ns - heard.stamp_ns
    if age_ns > rules.max_age_s * NS_PER_S:
        words = f"its observation is {age_ns / NS_PER_S:.3f} s old, {rules.max_age_s:g} s allowed"
        return Verdict("stale", words)
    if age_ns < -MAX_AHEAD_NS:
        words = f"its stamp is {-age_ns / NS_PER_S:.3f} s ahead: do the clocks agree?"
        return Verdict("ahead", words)
    plan_ns = heard.latency_ns + max(heard.horizon - 1, 0) * heard.step_ns - age_ns
    if plan_ns > MAX_PLAN_NS:
        limit_s = MAX_PLAN_NS / NS_PER_S
        words = f"its last latent is due in {plan_ns / NS_PER_S:.3g} s, {limit_s:g} s allowed"
        return Verdict("ahead", words)
    return None


def _numbers(latents: Float32[np.ndarray, "horizon dim"], tolerance: float) -> Verdict:
    if not np.isfinite(latents).all():
        return Verdict("not_finite", f"{np.sum(~np.isfinite(latents))} numbers are not finite")
    # In double precision no float32 is too long to be measured.
    wide = latents.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    furthest = float(lengths.flat[np.argmax(np.abs(lengths - 1.0))])
    if abs(furthest - 1.0) > tolerance:
        return Verdict("off_sphere", f"a latent has length {furthest:.4g}, 1 ± {tolerance:g} due")
    return Verdict("ok", latents=wide / lengths)
