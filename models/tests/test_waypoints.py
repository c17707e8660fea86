"""Where demonstrations were heading."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lam_models.stages.waypoints import LEAST_CHANGE_READ, find_waypoints


def episode(begins: list[int], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Steps of a constant speed, and a hand that moves for two rows from each of `begins`."""
    moved = np.zeros(rows)
    for begin in begins:
        moved[begin : begin + 2] = 0.1
    hands = np.repeat(np.cumsum(moved)[:, None], 4, axis=1)
    return np.full((rows, 3), 0.01), hands


def test_the_hand_first_begins_to_move_then_lets_go() -> None:
    found = find_waypoints(*episode([10, 20], 30), [(0, 30)])
    # The hand moves for two rows, and rests there for two more.
    assert (found.rows == [11, 20]).all() and (found.ends == [13, 21]).all()
    assert found.known[:11].all() and not found.known[11:, 0].any() and found.known[:, 1].all()


def test_a_hand_that_does_not_move_arrives_where_the_arm_slows_down_and_ends_at_the_end() -> None:
    steps, hands = episode([], 30)
    steps[12:15] = 0.0005
    found = find_waypoints(steps, hands, [(0, 30)])
    assert (found.rows[:, 1] == 29).all() and abs(found.rows[0, 0] - 13) <= 1


def test_a_hand_that_moves_once_ends_at_the_end() -> None:
    found = find_waypoints(*episode([10], 30), [(0, 30)])
    assert (found.rows == [11, 29]).all()


def test_a_hand_that_was_read_from_video_may_tremble() -> None:
    steps, hands = episode([10, 20], 30)
    hands = 5.0 * hands + 0.02 * np.random.default_rng(0).normal(size=hands.shape)
    found = find_waypoints(steps, hands, [(0, 30)], LEAST_CHANGE_READ)
    assert (found.rows == [11, 20]).all() and (found.ends == [13, 21]).all()


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_both_lie_within_the_episode_in_their_order(lengths: list[int], seed: int) -> None:
    ends = np.cumsum(lengths)
    spans = list(zip((ends - lengths).tolist(), ends.tolist(), strict=True))
    random = np.random.default_rng(seed)
    hands, steps = random.normal(size=(ends[-1], 4)).round(0), random.normal(size=(ends[-1], 3))
    found = find_waypoints(steps, hands, spans)
    for start, stop in spans:
        first, last = found.rows[start:stop].T
        assert len(set(first)) == len(set(last)) == 1
        assert start <= first[0] <= last[0] < stop
        assert (found.rows[start:stop] <= found.ends[start:stop]).all()
        assert (found.ends[start:stop] < stop).all()
        known = np.flatnonzero(found.known[start:stop, 0])
        assert (known == np.arange(len(known))).all() and len(known) - 1 <= first[0] - start
        assert found.known[start:stop, 1].all()
