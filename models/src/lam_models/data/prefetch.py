"""Batches made by a thread while the last one is used, and how long the user had to wait."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetch(Generic[T]):
    """`batch_at(start), batch_at(start + 1), ...` in order, `ahead` of them in the making.

    Decoding and copying release Python's lock, so that threads suffice. An error of a batch is
    raised where that batch is asked for.
    """

    def __init__(
        self, batch_at: Callable[[int], T], start: int = 0, *, ahead: int = 4, threads: int = 2
    ) -> None:
        self._batch_at = batch_at
        self._steps = itertools.count(start)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="prefetch")
        self._made: deque[Future[T]] = deque(self._begin() for _ in range(ahead))
        self.forget()

    def __iter__(self) -> Prefetch[T]:
        return self

    def __next__(self) -> T:
        asked_s = time.perf_counter()
        batch = self._made.popleft().result()
        self.waited_s += time.perf_counter() - asked_s
        self._made.append(self._begin())
        return batch

    def share(self) -> float:
        """The part of the time since `forget` that was spent waiting for batches."""
        return self.waited_s / max(time.perf_counter() - self._since_s, 1e-9)

    def forget(self) -> None:
        """Measure the wait from now on."""
        self.waited_s, self._since_s = 0.0, time.perf_counter()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Prefetch[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self) -> Future[T]:
        return self._pool.submit(self._batch_at, next(self._steps))
