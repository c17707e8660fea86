"""What a policy remembers of its plans: what the hand was told, and what they agree on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from lam_models.policy.plans import Plans
from lam_models.types import ActionChunk, LatentSpec

STEP_S, STEPS = 0.05, 8


def plan(start_s: float, hand: Sequence[float]) -> ActionChunk:
    rows = np.array(hand, np.float32)[:, None]
    delta = np.zeros((len(rows), 6), np.float32)
    space = LatentSpec("hands", "hand", (1, 1))
    return ActionChunk(round(start_s * 1e9), STEP_S, "base", delta, rows, space, None)


def test_what_the_hand_was_told_is_of_the_newest_plan_of_then():
    plans = Plans()
    for start_s, base in ((99.0, 900.0), (1.0, 100.0), (1.2, 200.0)):
        plans.agreed(plan(start_s, [base + i for i in range(STEPS)]))

    def told(now_s: float) -> list[float]:
        return plans.hands_told(round(now_s * 1e9), 1).tolist()

    assert told(1.0) == [0.0, 0.0, 0.0]
    assert told(1.05) == [100.0, 0.0, 0.0]
    assert told(1.2) == [103.0, 100.0, 0.0]
    assert told(1.41) == [203.0, 200.0, 100.0]
    assert told(3.0) == [0.0, 0.0, 0.0]


def test_an_event_that_each_plan_puts_off_by_a_step_happens():
    plans, closed_then_open = Plans(), [0.0] + [1.0] * (STEPS - 1)
    now = [plans.agreed(plan(1.0 + STEP_S * i, closed_then_open)).hand[0, 0] for i in range(6)]
    assert now == pytest.approx([0.0, 1 / 2, 2 / 3, 3 / 4, 3 / 4, 3 / 4])


def test_plans_of_long_ago_or_of_another_clock_have_no_say():
    plans = Plans()
    plans.agreed(plan(1.0, [1.0] * STEPS))
    assert (plans.agreed(plan(1.0 + 4 * STEP_S, [0.0] * STEPS)).hand == 0.0).all()
    assert (plans.agreed(plan(0.5, [0.0] * STEPS)).hand == 0.0).all()


def test_only_the_hand_and_only_as_far_as_was_foretold_is_agreed_on():
    plans = Plans()
    plans.agreed(plan(1.0, [1.0] * STEPS))
    newer = plan(1.0 + 2 * STEP_S, [0.0] * STEPS)
    agreed = plans.agreed(newer)
    assert agreed.hand[:, 0] == pytest.approx([0.5] * (STEPS - 2) + [0.0] * 2)
    assert (newer.hand == 0.0).all() and agreed.delta_ee is newer.delta_ee
