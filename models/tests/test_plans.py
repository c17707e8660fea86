"""What a policy remembers of its plans: what the hand was told, and what they agree on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from jaxtyping import Float32

from lam_models.policy.inputs import HELD_STEPS
from lam_models.policy.plans import Plans
from lam_models.types import ActionChunk, LatentSpec

STEP_S, STEPS = 0.05, 8
OPEN, CLOSED = 0.0, np.pi / 2  # As angles on a circle: latents of two numbers.
NOTHING = [0.0, 0.0]


def on_circle(angles: Sequence[float] | np.ndarray) -> Float32[np.ndarray, "steps 2"]:
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def plan(start_s: float, angles: Sequence[float] | np.ndarray) -> ActionChunk:
    delta = np.zeros((len(angles), 6), np.float32)
    space = LatentSpec("hands", "hand", (1, 2))
    return ActionChunk(round(start_s * 1e9), STEP_S, "base", delta, on_circle(angles), space, None)


def test_what_the_hand_was_told_is_of_the_newest_plan_of_then():
    plans = Plans()
    for start_s, base in ((99.0, -0.5), (1.0, 0.1), (1.2, 0.2)):
        plans.agreed(plan(start_s, [base + 0.01 * i for i in range(STEPS)]))

    def told(now_s: float) -> list[list[float]]:
        return plans.hands_told(round(now_s * 1e9), 2).reshape(-1, 2).tolist()

    def angles(*known: float) -> list[object]:
        rows = [*on_circle(known).tolist(), *[NOTHING] * (len(HELD_STEPS) - len(known))]
        return [pytest.approx(row, abs=1e-6) for row in rows]

    assert told(1.0) == [NOTHING] * len(HELD_STEPS)
    assert told(1.05) == angles(0.1)
    assert told(1.2) == angles(0.13, 0.1)
    assert told(1.41) == angles(0.23, 0.2, 0.1)
    assert told(3.0) == [NOTHING] * len(HELD_STEPS)


def test_an_event_that_each_plan_puts_off_by_a_step_happens():
    plans, closed_then_open = Plans(), [CLOSED] + [OPEN] * (STEPS - 1)
    now = [plans.agreed(plan(1.0 + STEP_S * i, closed_then_open)).hand[0] for i in range(6)]
    assert np.array(now) == pytest.approx(on_circle([CLOSED] * 2 + [OPEN] * 4))


def test_what_is_agreed_on_was_said_and_is_nearest_to_what_all_said():
    plans, rng, said = Plans(), np.random.default_rng(0), []
    for i in range(20):
        angles = rng.uniform(-np.pi, np.pi, STEPS)
        said = [*said, angles][-4:]
        now = on_circle([angles[len(said) - 1 - j] for j, angles in enumerate(said)])
        first = plans.agreed(plan(1.0 + STEP_S * i, angles)).hand[0]
        assert (now @ first).max() == pytest.approx(1.0)
        assert now.sum(0) @ first == pytest.approx((now @ now.sum(0)).max(), abs=1e-3)


def test_plans_of_long_ago_or_of_another_clock_have_no_say():
    plans, opened = Plans(), on_circle([OPEN] * STEPS)
    plans.agreed(plan(1.0, [CLOSED] * STEPS))
    for start_s in (1.0 + 4 * STEP_S, 0.5):
        assert plans.agreed(plan(start_s, [OPEN] * STEPS)).hand == pytest.approx(opened)


def test_only_the_hand_and_only_as_far_as_was_foretold_is_agreed_on():
    plans = Plans()
    plans.agreed(plan(1.0, [CLOSED] * STEPS))
    plans.agreed(plan(1.0 + STEP_S, [CLOSED] * STEPS))
    newer = plan(1.0 + 2 * STEP_S, [OPEN] * STEPS)
    agreed = plans.agreed(newer)
    # Two speak of the steps that are foretold by both; of the next one voice stands against one.
    told = on_circle([CLOSED] * (STEPS - 2) + [OPEN] * 2)
    assert agreed.hand == pytest.approx(told, abs=1e-6)
    assert newer.hand == pytest.approx(on_circle([OPEN] * STEPS))
    assert agreed.delta_ee is newer.delta_ee
