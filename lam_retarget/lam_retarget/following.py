"""The hand as it follows latents: what it heard, whether it obeys, and where it is sent next.

Before the first valid latent nothing is sent. The first command starts from the measured posture
where one is asked for, as a hand moves at the speed of its own driver when its target jumps. A
refused latent, or none for silence_s, stops the motion as fast as the joints may brake; the next
valid one moves it on. Time comes from outside, in ns of the robot's clock.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lam_models.hands.space import HandSpace
from lam_models.hands.spec import HandSpec
from lam_retarget.horizon import Horizon
from lam_retarget.judging import NS_PER_S, Heard, Rules, Verdict, judge
from lam_retarget.measuring import Posture
from lam_retarget.pacing import Durations
from lam_retarget.shaping import Joints, Motion, follow, pace_of, resting, stopping_point

# A hand that was told nothing for so many periods stands where it was told to be.
GAP_PERIODS = 3


@dataclass(frozen=True)
class Manners:
    """How a hand follows.

    measured_start: whether the first command waits for a measured posture to start from.
    speed_scale: the share of the hand's speed and acceleration that is used.
    """

    rules: Rules = field(default_factory=Rules)
    silence_s: float = 0.3
    speed_scale: float = 1.0
    measured_start: bool = True


class Follower:
    """One hand. UserError if the space has not learned this hand as its file describes it."""

    def __init__(self, spec: HandSpec, space: HandSpace, manners: Manners) -> None:
        self.spec, self.latent, self.manners = spec, space.latent, manners
        self.refusals: Counter[str] = Counter()
        self.decode = Durations()
        self.posture = Posture(spec)
        self._coder = space.coder_for(spec)
        self._pace = pace_of(spec, manners.speed_scale)
        self._period_ns = round(NS_PER_S / spec.command.rate_hz)
        self.forget()

    def forget(self) -> None:
        """Begin anew: nothing heard, nothing sent."""
        self._horizon: Horizon | None = None  # None while holding.
        self._motion: Motion | None = None  # None before the first command.
        self._rest: Joints | None = None
        self._told_ns = self._heard_ns = self._since_ns = 0
        self.fresh = False
        self.holding = "no latent yet"
        self.posture.forget()

    def begin_episode(self, began_ns: int, now_ns: int) -> None:
        """Begin anew: the hand may stand elsewhere, and older latents are not for it."""
        self.forget()
        # A stamp that lies ahead of this clock must not make the hand deaf.
        self._since_ns = min(began_ns, now_ns)

    def hear(self, heard: Heard, now_ns: int) -> Verdict:
        """Judge a latent action and, where it is valid, follow it from now on."""
        verdict = judge(heard, self.latent, self.manners.rules, now_ns)
        self._since_ns = min(self._since_ns, now_ns)  # The clock may be set back.
        if verdict.latents is not None and heard.stamp_ns <= self._since_ns:
            verdict = Verdict("stale", "its observation is older than the episode")
        if verdict.latents is None:
            self._hold(verdict.kind, verdict.words)
            return verdict
        began_ns = time.perf_counter_ns()
        targets = self._coder.decode(verdict.latents).astype(np.float64)
        self.decode.add(time.perf_counter_ns() - began_ns)
        self._horizon = Horizon(targets, heard.stamp_ns + heard.latency_ns, heard.step_ns)
        self._heard_ns, self.fresh, self.holding = now_ns, True, ""
        return verdict

    def measured(self, names: Sequence[str], positions: Sequence[float], now_ns: int) -> None:
        """Note measured joints; only the first command asks for them."""
        if self._motion is None:
            self.posture.note(names, positions, now_ns)

    def advance(self, now_ns: int) -> Joints | None:
        """Where to send the actuated joints now; None where there is nothing to say."""
        if self._horizon is not None and now_ns > self._due_ns(self._horizon):
            self._hold("silence", f"no latent for {self.manners.silence_s:g} s")
        before = self._motion
        if before is None and not self._start(now_ns):
            return None
        self._motion = self._step(now_ns)
        fresh, self.fresh, self._told_ns = self.fresh, False, now_ns
        moved = before is None or not np.array_equal(self._motion.q, before.q)
        repeats = self.spec.command.on_silence == "repeat"
        return self._motion.q if fresh or moved or repeats else None

    def _step(self, now_ns: int) -> Motion:
        assert self._motion is not None
        gap_ns = now_ns - self._told_ns
        if not 0 <= gap_ns <= GAP_PERIODS * self._period_ns:
            self._motion = resting(self._motion.q, self._pace)
            gap_ns = self._period_ns if gap_ns > 0 else 0  # The clock may be set back.
        target = self._rest if self._horizon is None else self._horizon.at(now_ns)
        assert target is not None
        return follow(self._motion, target, self._pace, gap_ns / NS_PER_S)

    def _start(self, now_ns: int) -> bool:
        """Take the posture that the first command starts from."""
        if self._horizon is None:
            return False
        q, self.holding = self._horizon.at(now_ns), ""
        if self.manners.measured_start:
            q, self.holding = self.posture.at(now_ns)
        if q is None:
            return False
        self._motion = resting(q, self._pace)
        return True

    def _hold(self, kind: str, words: str) -> None:
        self.refusals[kind] += 1
        self.holding, self.fresh, self._horizon = f"{kind}: {words}", False, None
        if self._motion is not None:
            self._rest = stopping_point(self._motion, self._pace)

    def _due_ns(self, horizon: Horizon) -> int:
        """When the next latent is overdue."""
        last_ns = max(self._heard_ns, horizon.end_ns)
        return last_ns + round(self.manners.silence_s * NS_PER_S)
