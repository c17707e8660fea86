"""Laws of retargeting, over every shipped hand."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from lam_models.hands import poses
from lam_models.hands.human import mean_hand
from lam_models.hands.retarget import Retargeter, is_gripper
from lam_models.hands.spec_file import read_hand, shipped_hands

HANDS = sorted(shipped_hands())


@cache
def human_points(count: int = 96) -> np.ndarray:
    return mean_hand().points(poses.sample(mean_hand(), count, 3).angles)


@pytest.mark.parametrize("name", HANDS)
def test_limits_are_never_exceeded_even_by_nonsense(name: str) -> None:
    spec = read_hand(name)
    wild = human_points() * np.linspace(0.2, 3.0, 96)[:, None, None]
    q = Retargeter(spec).solve(wild).q
    assert np.isfinite(q).all()
    assert (q >= spec.lower).all() and (q <= spec.upper).all()


@pytest.mark.parametrize("name", HANDS)
def test_a_batch_is_its_poses_one_by_one(name: str) -> None:
    retargeter = Retargeter(read_hand(name))
    some = human_points()[:6]
    together = retargeter.solve(some)
    for index, points in enumerate(some):
        alone = retargeter.solve(points)
        np.testing.assert_allclose(alone.q, together.q[index], atol=1e-6)
        np.testing.assert_allclose(alone.error_m, together.error_m[index], atol=1e-6)


@pytest.mark.parametrize("name", [hand for hand in HANDS if not is_gripper(read_hand(hand))])
def test_what_is_out_of_reach_is_said_so(name: str) -> None:
    retargeter = Retargeter(read_hand(name))
    assert not retargeter.solve(3.0 * human_points()).converged.any()
