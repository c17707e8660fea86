"""Laws of retargeting, over every shipped hand."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from lam_models.command import UserError
from lam_models.hands import poses
from lam_models.hands.human import TIPS, mean_hand
from lam_models.hands.objective import OBJECTIVES
from lam_models.hands.retarget import Retargeter, is_gripper
from lam_models.hands.spec_file import read_hand, shipped_hands
from lam_models.hands.touch import nearest_touches

HANDS = sorted(shipped_hands())


@cache
def human_points(count: int = 96) -> np.ndarray:
    return mean_hand().points(poses.sample(mean_hand(), count, 3).angles)


@cache
def opened(name: str) -> Retargeter:
    return Retargeter(read_hand(name))


@pytest.mark.parametrize("name", HANDS)
def test_limits_are_never_exceeded_even_by_nonsense(name: str) -> None:
    spec = read_hand(name)
    wild = human_points() * np.linspace(0.2, 3.0, 96)[:, None, None]
    q = opened(name).solve(wild).q
    assert np.isfinite(q).all()
    assert (q >= spec.lower).all() and (q <= spec.upper).all()


@pytest.mark.parametrize("name", HANDS)
def test_a_batch_is_its_poses_one_by_one(name: str) -> None:
    retargeter = opened(name)
    some = human_points()[:6]
    together = retargeter.solve(some)
    for index, points in enumerate(some):
        alone = retargeter.solve(points)
        np.testing.assert_allclose(alone.q, together.q[index], atol=1e-6)
        np.testing.assert_allclose(alone.error_m, together.error_m[index], atol=1e-6)


@pytest.mark.parametrize("name", [hand for hand in HANDS if not is_gripper(read_hand(hand))])
def test_what_is_out_of_reach_is_said_so(name: str) -> None:
    retargeter = opened(name)
    assert not retargeter.solve(3.0 * human_points()).converged.any()


FINGERED = [hand for hand in HANDS if not is_gripper(read_hand(hand))]


@pytest.mark.parametrize("name", FINGERED)
def test_a_pose_comes_back_from_its_own_fingertips(name: str) -> None:
    spec = read_hand(name)
    retargeter = opened(name)
    tips = retargeter.kinematics.tips(spec.sample(60, 1))
    found = retargeter.reach(tips)
    away_m = np.linalg.norm(retargeter.kinematics.tips(found.q) - tips, axis=-1)
    assert np.quantile(away_m, 0.8) < 0.002
    assert (found.q >= spec.lower).all() and (found.q <= spec.upper).all()


@pytest.mark.parametrize("name", FINGERED)
def test_pinches_close_where_the_hand_can_and_open_hands_stay_open(name: str) -> None:
    retargeter = opened(name)
    tips, hand = retargeter.spec.tips, mean_hand()
    able = [t.finger for t in nearest_touches(retargeter.kinematics) if t.gap_m < 0.002]
    assert able
    for finger in able:
        ends = [tips.index(finger), tips.index("thumb")]

        def gaps_m(human_gap_m: float, finger: str = finger, ends: list[int] = ends) -> np.ndarray:
            angles = poses.pinches(hand, 24, 5, finger, human_gap_m).angles
            placed = retargeter.kinematics.tips(retargeter.solve(hand.points(angles)).q)[:, ends]
            return np.linalg.norm(placed[:, 0] - placed[:, 1], axis=-1)

        closed, wide = gaps_m(0.014), gaps_m(0.05)
        assert np.mean(closed < 0.010) >= 0.85
        assert np.mean(wide > 0.020) >= 0.9


@pytest.mark.parametrize("name", HANDS)
def test_a_stream_moves_smoothly_and_stays_as_near_as_a_batch(name: str) -> None:
    retargeter = opened(name)
    keys = poses.synergies(mean_hand(), 3, 2).angles
    stream = mean_hand().points(poses.trajectory(keys, 60.0, 0.8))
    retargeter.reset()
    followed = [retargeter.follow(points) for points in stream]
    q = np.stack([frame.q for frame in followed])
    batch = retargeter.solve(stream)
    assert np.abs(np.diff(q, axis=0)).max() < 0.5
    error_m = np.median([frame.error_m for frame in followed])
    assert error_m < np.median(batch.error_m) + 0.003
    retargeter.reset()
    np.testing.assert_allclose(retargeter.follow(stream[0]).q, followed[0].q)


@pytest.mark.parametrize("name", [hand for hand in HANDS if hand not in FINGERED])
def test_a_gripper_opens_as_the_human_gap_does(name: str) -> None:
    retargeter = opened(name)
    hand = mean_hand()
    gaps_m = np.linspace(0.005, 0.06, 12)
    pinches = [poses.pinches(hand, 1, 4, "index", float(gap_m)).angles for gap_m in gaps_m]
    points = hand.points(np.concatenate(pinches))
    nearest = np.linalg.norm(points[:, TIPS[1:]] - points[:, TIPS[:1]], axis=-1).min(axis=1)
    tips = retargeter.kinematics.tips(retargeter.solve(points).q)
    width_m = np.linalg.norm(tips[:, 0] - tips[:, 1], axis=-1)
    assert (np.diff(width_m[np.argsort(nearest)]) >= -1e-6).all()


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_every_objective_follows_the_human_hand(objective: str) -> None:
    retargeter = Retargeter(read_hand("shadow"), objective)
    found = retargeter.solve(human_points())
    middle = retargeter.kinematics.tips((retargeter.spec.lower + retargeter.spec.upper) / 2.0)
    tips, human = retargeter.kinematics.tips(found.q), human_points()[:, TIPS]
    assert np.median(found.error_m) < 0.02
    away = np.linalg.norm(tips - human, axis=-1).mean()
    assert away < 0.7 * np.linalg.norm(middle - human, axis=-1).mean()


def test_dexpilot_lets_go_of_a_pinch_later_than_it_takes_hold() -> None:
    hand = mean_hand()
    closed, between = (
        hand.points(poses.pinches(hand, 1, 9, "index", gap_m).angles)[0] for gap_m in (0.01, 0.04)
    )
    retargeter = Retargeter(read_hand("shadow"), "dexpilot")

    def gap_m(points: np.ndarray) -> float:
        q = [retargeter.follow(points).q for _ in range(10)][-1]
        tips = retargeter.kinematics.tips(q)
        ends = [retargeter.spec.tips.index(finger) for finger in ("thumb", "index")]
        return float(np.linalg.norm(tips[ends[0]] - tips[ends[1]]))

    fresh = gap_m(between)
    retargeter.reset()
    assert gap_m(closed) < 0.005
    assert gap_m(between) < 0.5 * fresh
    retargeter.reset()
    assert gap_m(between) == pytest.approx(fresh, abs=1e-3)


def test_an_unknown_objective_is_named() -> None:
    with pytest.raises(UserError, match="keyvector"):
        Retargeter(read_hand("shadow"), "keyvectors")
