"""Work spread over processes whose results come back in the order of the jobs.

The order does not depend on how many workers there are or how fast, so what is made of the results
does not either. Leaving the `with` block, by whatever way, leaves no process behind: idle workers
end by themselves, busy ones are terminated; if this process is killed, theirs end too.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from lam_models.command import UserError

Job = TypeVar("Job")
Result = TypeVar("Result")
JobIn = TypeVar("JobIn", contravariant=True)
ResultOut = TypeVar("ResultOut", covariant=True)

# Results that may wait for an earlier one, a worker: enough to keep all busy, little memory.
_AHEAD = 2
_GRACE_S = 3.0


class Work(Protocol[JobIn, ResultOut]):
    """What a worker does; made inside the worker, so that it may hold what cannot be sent."""

    def __call__(self, job: JobIn) -> ResultOut: ...

    def close(self) -> None: ...


class Workers(Generic[Job, Result]):
    """`count` processes doing the work that `make()` returns; a count of 1 works in this process.

    make: a picklable callable, e.g. a class or a partial.
    """

    def __init__(self, make: Callable[[], Work[Job, Result]], count: int) -> None:
        self._make = make
        self._count = count
        self._processes: dict[Connection, SpawnProcess] = {}
        self._own: Work[Job, Result] | None = None

    def __enter__(self) -> Workers[Job, Result]:
        if self._count == 1:
            self._own = self._make()
            return self
        try:
            for _ in range(self._count):
                self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._own is not None:
            self._own.close()
        self._stop()

    def ordered(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Results in the order of the jobs, which may be endless: they are drawn as needed."""
        if self._own is not None:
            yield from map(self._own, jobs)
            return
        numbered = enumerate(jobs)
        waiting = next(numbered, None)
        idle, busy, done = set(self._processes), set[Connection](), dict[int, Any]()
        due = 0
        while waiting is not None or busy or done:
            while waiting is not None and idle and waiting[0] < due + _AHEAD * self._count:
                busy.add(connection := idle.pop())
                self._send(connection, waiting)
                waiting = next(numbered, None)
            if due in done:
                yield done.pop(due)
                due += 1
                continue
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                number, result = self._receive(connection)
                done[number] = result
                busy.remove(connection)
                idle.add(connection)

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._make), daemon=True)
        self._processes[ours] = process
        with _workers_ignore_interrupts():
            process.start()
        # Only the worker may hold its end: that is how each side notices that the other is gone.
        theirs.close()

    def _send(self, connection: Connection, job: tuple[int, Job]) -> None:
        try:
            connection.send(job)
        except (BrokenPipeError, ConnectionResetError):
            raise self._death_of(connection) from None

    def _death_of(self, connection: Connection) -> UserError:
        process = self._processes[connection]
        process.join(_GRACE_S)
        return UserError(f"a worker process died (exit code {process.exitcode})")

    def _receive(self, connection: Connection) -> tuple[int, Any]:
        try:
            number, result, failure = connection.recv()
        except (EOFError, ConnectionResetError):
            raise self._death_of(connection) from None
        if failure is not None:
            line, trace = failure
            raise UserError(line) from RuntimeError(f"in a worker process:\n{trace}")
        return number, result

    def _stop(self) -> None:
        for connection in self._processes:
            connection.close()
        for process in self._processes.values():
            if process.pid is not None:
                process.terminate()
        for process in self._processes.values():
            if process.pid is not None:
                process.join(_GRACE_S)
                if process.is_alive():
                    process.kill()
                    process.join()
        self._processes.clear()


def _serve(connection: Connection, make: Callable[[], Work]) -> None:
    """A worker's life: jobs until the other end is closed."""
    number, work = -1, None
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            number, job = connection.recv()
            try:
                work = work or make()
                answer = (number, work(job), None)
            except Exception as error:
                answer = (number, None, (_in_one_line(job, error), traceback.format_exc()))
            connection.send(answer)
    if work is not None:
        work.close()


def _in_one_line(job: object, error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{job}: {type(error).__name__}: {text}"


@contextlib.contextmanager
def _workers_ignore_interrupts() -> Iterator[None]:
    """Ctrl-C reaches the whole process group; only this process acts on it and stops the others.

    A new interpreter keeps an ignored signal ignored, from its first instruction on.
    """
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # Not in the main thread: signals are somebody else's business.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt inside this block, so that a killed run cleans up too."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def worker_count(text: str) -> int:
    """The number that --workers asks for; "auto" is one a core."""
    if text == "auto":
        return usable_cores()
    if not text.isdigit() or int(text) < 1:
        raise UserError(f"--workers is '{text}'; allowed: auto, or a number from 1")
    return int(text)


def one_thread_each() -> None:
    """Keep numeric libraries, here and in workers, to one thread: the workers fill the cores.

    Call before they are imported. Rendering is off-screen unless the user says otherwise.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LP_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("MUJOCO_GL", "egl")
