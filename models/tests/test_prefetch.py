"""Prefetching keeps the order, raises in turn, and tells waiting from working."""

from __future__ import annotations

import threading
import time

import pytest

from lam_models.data.prefetch import Prefetch


def test_batches_come_in_order_whichever_is_ready_first():
    def batch_at(step: int) -> int:
        time.sleep(0.003 * (step % 3 == 0))
        return step

    with Prefetch(batch_at, start=5, stop=25, threads=4) as batches:
        assert list(batches) == list(range(5, 25))


def test_at_most_so_many_are_made_ahead():
    made: list[int] = []
    with Prefetch(lambda step: made.append(step), ahead=3, threads=1) as batches:
        next(batches)
        time.sleep(0.02)
        assert len(made) <= 4


def test_an_error_is_raised_in_its_turn():
    def batch_at(step: int) -> int:
        if step == 2:
            raise ValueError("broken")
        return step

    with Prefetch(batch_at) as batches:
        assert [next(batches), next(batches)] == [0, 1]
        with pytest.raises(ValueError, match="broken"):
            next(batches)


def test_the_share_tells_waiting_from_working():
    gate = threading.Event()
    with Prefetch(lambda step: gate.wait(0.05) and step, threads=1, ahead=1) as slow:
        next(slow)
        assert slow.share() > 0.5 and slow.waited_s > 0
        gate.set()
        time.sleep(0.02)
        slow.forget()
        time.sleep(0.05)
        next(slow)
        assert slow.share() < 0.5
