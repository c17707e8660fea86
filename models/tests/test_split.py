"""Splits by episode: never empty, never everything, each instruction its share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lam_models.command import UserError
from lam_models.data.split import split_episodes


@given(st.integers(2, 200), st.floats(0.001, 0.999), st.integers(0, 2**32))
def test_both_parts_hold_something_and_together_all(count, validation, seed):
    training, kept = split_episodes(count, validation, seed)
    assert len(training) and len(kept)
    np.testing.assert_array_equal(np.sort(np.concatenate([training, kept])), np.arange(count))
    wanted = min(max(round(validation * count), 1), count - 1)
    assert len(kept) == wanted
    again = split_episodes(count, validation, seed)
    np.testing.assert_array_equal(kept, again[1])


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.floats(0.05, 0.9))
def test_each_instruction_gives_its_share(sizes, validation):
    words = [f"task {i}" for i, size in enumerate(sizes) for _ in range(size)]
    if len(words) < 2:
        return
    _, kept = split_episodes(words, validation)
    share = len(kept) / len(words)
    for i, size in enumerate(sizes):
        of_kind = sum(words[episode] == f"task {i}" for episode in kept)
        assert abs(of_kind - share * size) <= 2


def test_seeds_differ():
    assert split_episodes(100, 0.1, 0)[1].tolist() != split_episodes(100, 0.1, 1)[1].tolist()


def test_nothing_is_kept_where_nothing_is_asked_for():
    training, kept = split_episodes(1, 0.0)
    assert training.tolist() == [0] and len(kept) == 0


def test_mistakes_are_named():
    with pytest.raises(UserError, match="1 episode cannot be split"):
        split_episodes(1)
    with pytest.raises(UserError, match="validation 1: a share"):
        split_episodes(5, 1.0)
