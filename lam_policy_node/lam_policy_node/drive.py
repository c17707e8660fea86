"""What goes out on a beat of the control grid: a motion, a last zero, or nothing.

Whenever a motion cannot go on, the plan is forgotten and one zero motion goes out; after that there
is silence until a new plan has come. Receivers know neither the node nor its reasons: for them the
zero says stop, and the silence that nobody asks for anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from lam_models.geometry import Pose
from lam_models.hands.grasp import ee_delta
from lam_policy_node.safety import Asked, Limits, State, Verdict, judge
from lam_policy_node.splicing import Latent, Splice

_NO_PLAN, _RAN_OUT = "no plan yet", "the plan has run out"


@dataclass(frozen=True)
class Beat:
    """motion: m and rad in base axes for the period from beat_ns; None: nothing goes out.

    hand: the latent that belongs to it, None with a last zero. verdict: None where nothing was
    asked for.
    """

    beat_ns: int
    motion: Float64[np.ndarray, "6"] | None = None
    hand: Latent | None = None
    verdict: Verdict | None = None
    observed_ns: int = 0

    @property
    def last(self) -> bool:
        """A zero motion after which silence follows."""
        return self.motion is not None and self.hand is None


class Drive:
    """Turns the plan into commands, and stands still where there is an obstacle.

    axes: of the plan's motions, base or ee. T_ee_grasp: of the frame that these are of; None where
        it is the end effector's. reason: why it holds still, "" while it moves.
    """

    def __init__(
        self,
        plan: Splice,
        limits: Limits,
        period_ns: int,
        axes: str,
        T_ee_grasp: Pose | None = None,
    ) -> None:
        self.plan = plan
        self.reason = _NO_PLAN
        self.observed_ns = 0
        self._limits, self._period_ns, self._axes = limits, period_ns, axes
        self._grasp = T_ee_grasp
        self._state = State()
        self._moving = False
        # Why there is no plan: worth more than that there is none.
        self._stuck = _NO_PLAN

    def beat(self, beat_ns: int, now_ns: int, obstacle: str, T_base_ee: Pose | None) -> Beat:
        """One control period. obstacle: why there must be no motion, "" for none."""
        if obstacle:
            return self.halt(obstacle, beat_ns)
        motion = self.plan.motion(beat_ns, beat_ns + self._period_ns)
        hand = self.plan.hand(beat_ns)
        if motion is None or hand is None:
            self._stuck = _RAN_OUT if self._moving else self._stuck
            return self.halt(self._stuck, beat_ns)
        if T_base_ee is not None:
            motion = self._of_ee(motion, T_base_ee)
        asked = Asked(motion, self.observed_ns, None if T_base_ee is None else T_base_ee[:3, 3])
        verdict, self._state = judge(
            asked, self._period_ns / 1e9, now_ns, self._limits, self._state
        )
        if verdict.verdict == "stopped":
            self._stuck = verdict.reason
            return self.halt(verdict.reason, beat_ns, verdict)
        self._moving, self.reason, self._stuck = True, "", _NO_PLAN
        return Beat(beat_ns, verdict.allowed, hand, verdict, self.observed_ns)

    def _of_ee(self, motion: Float64[np.ndarray, "6"], T_base_ee: Pose) -> np.ndarray:
        """The end effector's motion, in base axes, that makes one of the plan."""
        steered = T_base_ee if self._grasp is None else T_base_ee @ self._grasp
        if self._axes == "ee":
            motion = (steered[:3, :3] @ motion.reshape(2, 3, 1)).reshape(6)
        return motion if self._grasp is None else ee_delta(motion, T_base_ee, self._grasp)

    def halt(self, reason: str, beat_ns: int, verdict: Verdict | None = None) -> Beat:
        """Stand still: a zero where there was motion, then nothing."""
        owed = np.zeros(6) if self._moving else None
        self.reason = reason
        self._moving, self._state = False, State()
        self.plan.clear()
        return Beat(beat_ns, owed, None, verdict, self.observed_ns)
