"""Batches made ahead of their use by threads, in order, with a measure of how long they lacked."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

Batch = TypeVar("Batch")


class Prefetch(Generic[Batch]):
    """Iterates over batch_at(start), batch_at(start + 1), ..., `ahead` of them under way.

    batch_at: must be safe to call from `threads` threads at once. An exception of it is raised in
        its turn. stop: the step after the last; None goes on for ever.
    waited_s: how long the consumer stood waiting since the start, or since `forget`.
    """

    def __init__(
        self,
        batch_at: Callable[[int], Batch],
        start: int = 0,
        stop: int | None = None,
        *,
        ahead: int = 4,
        threads: int = 2,
    ) -> None:
        self._batch_at = batch_at
        self._next, self._stop, self._ahead = start, stop, ahead
        self._pool = ThreadPoolExecutor(threads, "prefetch")
        self._under_way: deque[Future[Batch]] = deque()
        self.forget()
        self._fill()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        if not self._under_way:
            raise StopIteration
        future = self._under_way.popleft()
        began_s = time.perf_counter()
        batch = future.result()
        self.waited_s += time.perf_counter() - began_s
        self._fill()
        return batch

    def share(self) -> float:
        """Share of the time, from 0 to 1, that the consumer stood waiting."""
        elapsed_s = time.perf_counter() - self._since_s
        return self.waited_s / elapsed_s if elapsed_s > 0 else 0.0

    def forget(self) -> None:
        """Measure the waiting from now on."""
        self.waited_s = 0.0
        self._since_s = time.perf_counter()

    def close(self) -> None:
        """Drop what is under way."""
        self._under_way.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Prefetch[Batch]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _fill(self) -> None:
        while len(self._under_way) < self._ahead and self._next != self._stop:
            self._under_way.append(self._pool.submit(self._batch_at, self._next))
            self._next += 1
