"""Which chunk is obeyed when several overlap. Always by time: answers come late and unevenly.

    latest     the newest one, at once
    ensemble   the average of all that speak of the instant (as in ACT)
    rtc        the newest one, but from the end of the steps it was told are committed: until then
               the one before goes on (real-time chunking)

`hand` latents lie on a sphere, so an average is put back to the average length.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
from jaxtyping import Float64

from lam_models.command import unknown
from lam_models.policy.committed import Committed
from lam_models.types import ActionChunk
from lam_policy_node.plan import Delta, covers, end_ns, hand_at, motion_between, step_ns

Latent = Float64[np.ndarray, " dim"]


class Splice(Protocol):
    """The running plan. Times are on the clock of the chunks."""

    def add(self, chunk: ActionChunk, now_ns: int, committed_until_ns: int) -> bool:
        """Take an answer in; False where it came too late to be of any use.

        committed_until_ns: end of the steps that the policy was told would happen anyhow.
        """
        ...

    def motion(self, from_ns: int, to_ns: int) -> Delta | None:
        """The motion of a control period; None where no chunk speaks of its beginning."""
        ...

    def hand(self, at_ns: int) -> Latent | None:
        """The hand latent of an instant."""
        ...

    def clear(self) -> None:
        """Forget everything, as when told to do something else."""
        ...


class Latest:
    """The newest answer, at once."""

    def __init__(self) -> None:
        self._chunk: ActionChunk | None = None

    def add(self, chunk: ActionChunk, now_ns: int, committed_until_ns: int) -> bool:
        newer = self._chunk is None or chunk.start_ns > self._chunk.start_ns
        if not newer or end_ns(chunk) <= now_ns:
            return False
        self._chunk = chunk
        return True

    def motion(self, from_ns: int, to_ns: int) -> Delta | None:
        if self._chunk is None or not covers(self._chunk, from_ns):
            return None
        return motion_between(self._chunk, from_ns, to_ns)

    def hand(self, at_ns: int) -> Latent | None:
        if self._chunk is None or not covers(self._chunk, at_ns):
            return None
        return hand_at(self._chunk, at_ns)

    def clear(self) -> None:
        self._chunk = None


class Ensemble:
    """The average of all answers, each weighted by exp(-decay age): newer ones more if positive."""

    def __init__(self, decay_per_s: float = 0.0) -> None:
        self._decay_per_s = decay_per_s
        self._chunks: list[ActionChunk] = []

    def add(self, chunk: ActionChunk, now_ns: int, committed_until_ns: int) -> bool:
        self._chunks = [other for other in self._chunks if end_ns(other) > now_ns]
        if end_ns(chunk) <= now_ns:
            return False
        self._chunks.append(chunk)
        return True

    def motion(self, from_ns: int, to_ns: int) -> Delta | None:
        speaking = self._speaking(from_ns)
        if not speaking:
            return None
        each = np.stack([motion_between(chunk, from_ns, to_ns) for chunk in speaking])
        return self._weights(speaking) @ each

    def hand(self, at_ns: int) -> Latent | None:
        speaking = self._speaking(at_ns)
        if not speaking:
            return None
        each, weights = np.stack([hand_at(c, at_ns) for c in speaking]), self._weights(speaking)
        mean, length = weights @ each, float(weights @ np.linalg.norm(each, axis=1))
        mean_length = float(np.linalg.norm(mean))
        # Opposite latents have no direction between them: then the newest one decides.
        return mean * (length / mean_length) if mean_length > 1e-6 * length else each[-1]

    def clear(self) -> None:
        self._chunks.clear()

    def _speaking(self, at_ns: int) -> list[ActionChunk]:
        return [chunk for chunk in self._chunks if covers(chunk, at_ns)]

    def _weights(self, chunks: list[ActionChunk]) -> Float64[np.ndarray, " chunks"]:
        starts_s = np.array([(c.start_ns - chunks[-1].start_ns) / 1e9 for c in chunks])
        logits = self._decay_per_s * starts_s
        weights = np.exp(logits - logits.max())
        return weights / weights.sum()


class RealTime:
    """The committed steps of the plan before, then the newest answer."""

    def __init__(self) -> None:
        # Chunks and from when on each is obeyed, in the order of that.
        self._turns: list[tuple[int, ActionChunk]] = []

    def add(self, chunk: ActionChunk, now_ns: int, committed_until_ns: int) -> bool:
        if end_ns(chunk) <= now_ns:
            return False
        at_ns = max(now_ns, committed_until_ns)
        kept = [turn for turn in self._turns if turn[0] < at_ns]
        past = sum(turn[0] <= now_ns for turn in kept)
        self._turns = [*kept[max(past - 1, 0) :], (at_ns, chunk)]
        return True

    def motion(self, from_ns: int, to_ns: int) -> Delta | None:
        first = self._obeyed(from_ns)
        if first is None or not covers(first, from_ns):
            return None
        out = np.zeros(6)
        ends = [turn[0] for turn in self._turns[1:]] + [to_ns]
        for (at_ns, chunk), until_ns in zip(self._turns, ends, strict=True):
            begins = from_ns if chunk is first else max(from_ns, at_ns)
            if begins < min(to_ns, until_ns):
                out += motion_between(chunk, begins, min(to_ns, until_ns))
        return out

    def hand(self, at_ns: int) -> Latent | None:
        chunk = self._obeyed(at_ns)
        return None if chunk is None or not covers(chunk, at_ns) else hand_at(chunk, at_ns)

    def clear(self) -> None:
        self._turns.clear()

    def _obeyed(self, at_ns: int) -> ActionChunk | None:
        begun = [chunk for begins_ns, chunk in self._turns if begins_ns <= at_ns]
        return begun[-1] if begun else None


STRATEGIES: dict[str, Callable[[float], Splice]] = {
    "latest": lambda decay_per_s: Latest(),
    "ensemble": Ensemble,
    "rtc": lambda decay_per_s: RealTime(),
}


def splice(name: str, ensemble_decay_per_s: float = 0.0) -> Splice:
    """An empty plan that blends as `name` says; UserError for an unknown name."""
    if name not in STRATEGIES:
        raise unknown("strategy of splicing", name, STRATEGIES)
    return STRATEGIES[name](ensemble_decay_per_s)


def commit(plan: Splice, like: ActionChunk, observed_ns: int, delay_ns: int) -> Committed | None:
    """The plan as steps from `observed_ns` on, those within `delay_ns` committed; None without one.

    like: a chunk of the same policy, for the length of steps and the space of the hand.
    """
    duration_ns, motions, hands = step_ns(like), [], []
    for index in range(len(like.delta_ee)):
        from_ns = observed_ns + index * duration_ns
        motion, hand = plan.motion(from_ns, from_ns + duration_ns), plan.hand(from_ns)
        if motion is None or hand is None:
            break
        motions.append(motion)
        hands.append(hand)
    if not motions:
        return None
    steps = min(math.ceil(delay_ns / duration_ns), len(motions))
    cut = ActionChunk(
        start_ns=observed_ns,
        dt_s=like.dt_s,
        frame=like.frame,
        delta_ee=np.array(motions, np.float32),
        hand=np.array(hands, np.float32),
        hand_space=like.hand_space,
    )
    return Committed(cut, steps)
