"""Laws of spreading work over processes: order, failure, death, nothing left behind."""

from __future__ import annotations

import multiprocessing
import os
import time

import pytest

from lam_models.command import UserError
from lam_sim.rollouts.parallel import Workers, worker_count


class Square:
    """Later jobs finish earlier, so that order has to be made."""

    def __call__(self, job: int) -> int:
        time.sleep(0.02 * (3 - job % 4))
        return job * job

    def close(self) -> None:
        pass


class Trouble(Square):
    def __call__(self, job: int) -> int:
        if job == 3:
            raise ValueError("three is\nrefused")
        if job == 5:
            os._exit(7)
        return job


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_the_order_of_the_jobs(count: int) -> None:
    with Workers(Square, count) as crew:
        assert list(crew.ordered(range(13))) == [i * i for i in range(13)]
        assert list(crew.ordered([])) == []
    assert not multiprocessing.active_children()


def test_jobs_are_drawn_as_needed() -> None:
    drawn = []

    def jobs():
        for i in range(10_000):
            drawn.append(i)
            yield i

    with Workers(Square, 2) as crew:
        results = crew.ordered(jobs())
        assert [next(results) for _ in range(3)] == [0, 1, 4]
    assert len(drawn) < 20
    assert not multiprocessing.active_children()


def test_a_failing_job_is_one_line_that_names_it() -> None:
    with pytest.raises(UserError) as caught, Workers(Trouble, 2) as crew:
        list(crew.ordered(range(4)))
    assert str(caught.value) == "3: ValueError: three is refused"
    assert "Traceback" in str(caught.value.__cause__)
    assert not multiprocessing.active_children()


def test_a_dead_worker_is_noticed() -> None:
    with pytest.raises(UserError, match=r"died \(exit code 7\)"), Workers(Trouble, 2) as crew:
        list(crew.ordered([0, 1, 5, 2]))
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("text", ["0", "-1", "many", ""])
def test_worker_count_is_checked(text: str) -> None:
    with pytest.raises(UserError, match="--workers"):
        worker_count(text)


def test_worker_count() -> None:
    assert worker_count("3") == 3
    assert worker_count("auto") >= 1
