"""Where demonstrations were heading."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lam_models.stages.waypoints import next_waypoints


def episode(begins: list[int], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions that tell their row, and a hand that moves for two rows from each of `begins`."""
    moved = np.zeros(rows)
    for begin in begins:
        moved[begin : begin + 2] = 0.1
    hands = np.repeat(np.cumsum(moved)[:, None], 4, axis=1)
    return np.arange(rows)[:, None] * np.ones(3), hands


def test_it_is_where_the_hand_next_begins_to_move_then_the_end() -> None:
    positions, hands = episode([10, 20], 30)
    rows = next_waypoints(positions, hands, [(0, 30)])[:, 0]
    assert (rows[:10] == 10).all() and (rows[10:20] == 20).all() and (rows[20:] == 29).all()


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(0, 2**32 - 1))
def test_it_lies_ahead_and_within_the_episode(lengths: list[int], seed: int) -> None:
    ends = np.cumsum(lengths)
    spans = list(zip((ends - lengths).tolist(), ends.tolist(), strict=True))
    hands = np.random.default_rng(seed).normal(size=(ends[-1], 4)).round(0)
    positions = np.arange(ends[-1])[:, None] * np.ones(3)
    found = next_waypoints(positions, hands, spans)[:, 0]
    for start, stop in spans:
        rows = np.arange(start, stop)
        assert (found[start:stop] >= rows).all() and (found[start:stop] < stop).all()
        assert (found[start : stop - 1] > rows[:-1]).all()
        assert (np.diff(found[start:stop]) >= 0).all()
