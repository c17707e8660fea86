"""Runs processes together: all up, or all down.

Started in the given order. When a process fails that is not to be started again, or when one ends
that ends the launch, the others are brought down and the exit code of the first failure is
returned. Ctrl-C, SIGTERM and SIGHUP do the same, with exit code 128 + signal.

Bringing down: SIGINT to every process group in reverse order of start, SIGTERM to those left after
`term_s`, SIGKILL to those left after another `kill_s`. Another Ctrl-C goes to the next at once.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import IO

from lam_bringup import process_group
from lam_bringup.description import Process
from lam_bringup.process_log import LineBuffer, ProcessLog

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ESCALATION = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
_CANNOT_EXECUTE = 126


@dataclass(frozen=True)
class Job:
    """A process and the command line that starts it."""

    process: Process
    command: tuple[str, ...]


@dataclass(frozen=True)
class Grace:
    """How long a process may take to end after SIGINT, and then after SIGTERM."""

    term_s: float = 5.0
    kill_s: float = 5.0


@dataclass
class _Child:
    """A running process."""

    job: Job
    popen: subprocess.Popen[bytes]
    pidfd: int
    buffers: dict[IO[bytes], LineBuffer] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return self.job.process.label


def supervise(
    jobs: Sequence[Job],
    log: ProcessLog,
    environment: Mapping[str, str],
    grace: Grace | None = None,
) -> int:
    """Run until all have ended; the exit code of the whole. Call it before starting any thread."""
    supervisor = _Supervisor(log, environment, grace or Grace())
    with supervisor.heeding_signals():
        return supervisor.run(jobs)


class _Supervisor:
    """One loop waits for everything: output, ends of processes, signals and the next deadline."""

    def __init__(self, log: ProcessLog, environment: Mapping[str, str], grace: Grace) -> None:
        self._log, self._grace = log, grace
        # Lines come out when they are printed, coloured where ours are.
        tty = {"RCUTILS_COLORIZED_OUTPUT": "1"} if log.colours else {}
        self._environment = {"PYTHONUNBUFFERED": "1", **tty, **environment}
        self._selector = selectors.DefaultSelector()
        self._guard = process_group.Guard()
        self._children: list[_Child] = []
        self._respawns: list[tuple[float, Job]] = []
        self._code: int | None = None
        self._stage = -1
        self._escalate_s = float("inf")

    def run(self, jobs: Sequence[Job]) -> int:
        try:
            for job in jobs:
                if self._stage < 0:
                    self._start(job)
            while self._children or self._respawns:
                for key, _ in self._selector.select(self._wait_s()):
                    key.data()
                self._keep_time()
        finally:
            for child in self._children:  # Only where this loop itself has failed.
                process_group.send(child.popen.pid, signal.SIGKILL)
            self._guard.close()
            self._selector.close()
        return self._code or 0

    @contextmanager
    def heeding_signals(self) -> Iterator[None]:
        """Signals wake the loop, and nothing else happens in a handler."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        before = {n: signal.signal(n, lambda *_: None) for n in _STOP_SIGNALS if not _ignored(n)}
        wakeup = signal.set_wakeup_fd(writing)
        self._selector.register(reading, selectors.EVENT_READ, partial(self._on_signal, reading))
        try:
            yield
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(reading)
            os.close(writing)

    def _on_signal(self, reading: int) -> None:
        for number in os.read(reading, 64):
            if number not in _STOP_SIGNALS:
                continue
            self._log.say(f"{signal.Signals(number).name}: stopping")
            if self._stage < 0:
                self._stop(128 + number)
            else:
                self._escalate()

    def _start(self, job: Job) -> None:
        label = job.process.label
        environment = {**self._environment, **dict(job.process.environment)}
        try:
            popen = process_group.start(job.command, environment)
        except OSError as error:
            self._log.say(f"{label}: cannot run {job.command[0]}: {error.strerror}")
            self._stop(_CANNOT_EXECUTE)
            return
        self._guard.watch(popen.pid)
        child = _Child(job, popen, os.pidfd_open(popen.pid))
        self._children.append(child)
        self._listen(child.pidfd, partial(self._on_end, child))
        for stream in (popen.stdout, popen.stderr):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
            child.buffers[stream] = LineBuffer()
            self._listen(stream, partial(self._on_output, child, stream))
        self._log.say(f"{label} started (pid {popen.pid})")

    def _listen(self, source: int | IO[bytes], react: Callable[[], object]) -> None:
        self._selector.register(source, selectors.EVENT_READ, react)

    def _on_output(self, child: _Child, stream: IO[bytes]) -> bool:
        """Pass on what can be read now; False where that is nothing."""
        buffer = child.buffers.get(stream)
        data = stream.read(1 << 16) if buffer else None
        if buffer is None or data is None:
            return False
        show = stream is child.popen.stderr or child.job.process.output != "log"
        for text in buffer.feed(data) if data else buffer.rest():
            self._log.line(child.label, text, show)
        if not data:
            self._close(child, stream)
        if self._log.screen_closed:
            self._stop(128 + signal.SIGPIPE)
        return bool(data)

    def _close(self, child: _Child, stream: IO[bytes]) -> None:
        self._selector.unregister(stream)
        stream.close()
        del child.buffers[stream]

    def _on_end(self, child: _Child) -> None:
        code = process_group.reap(child.popen, child.pidfd)
        self._guard.forget(child.popen.pid)
        self._selector.unregister(child.pidfd)
        os.close(child.pidfd)
        self._children.remove(child)
        for stream in list(child.buffers):
            while self._on_output(child, stream):
                pass
            if stream in child.buffers:  # A process that left the group holds the other side.
                self._close(child, stream)
        how = f"exit code {code}" if code <= 128 else _signal_name(code - 128)
        process = child.job.process
        if self._stage >= 0 or not code:
            self._log.say(f"{child.label} ended" + (f" ({how})" if code else ""))
        else:
            rest = ", stopping all" if process.respawn_delay_s is None else ""
            self._log.say(f"{child.label} failed: {how}{rest}")
        if self._stage >= 0:
            return
        if process.ends_launch:
            self._stop(code)
        elif process.respawn_delay_s is not None:
            self._log.say(f"{child.label} starts again in {process.respawn_delay_s:g} s")
            self._respawns.append((time.monotonic() + process.respawn_delay_s, child.job))
        elif code:
            self._stop(code)

    def _stop(self, code: int) -> None:
        if self._stage >= 0:
            return
        self._code = code
        self._respawns.clear()
        self._escalate()

    def _escalate(self) -> None:
        self._stage = min(self._stage + 1, len(_ESCALATION) - 1)
        number = _ESCALATION[self._stage]
        for child in reversed(self._children):
            process_group.send(child.popen.pid, number)
            if self._stage:
                self._log.say(f"{child.label} still runs: {number.name}")
        wait_s = (self._grace.term_s, self._grace.kill_s, float("inf"))[self._stage]
        self._escalate_s = time.monotonic() + wait_s

    def _wait_s(self) -> float | None:
        due_s = min([self._escalate_s, *(at for at, _ in self._respawns)])
        return None if due_s == float("inf") else max(0.0, due_s - time.monotonic())

    def _keep_time(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._escalate_s:
            self._escalate()
        due = [job for at, job in self._respawns if at <= now_s]
        self._respawns = [(at, job) for at, job in self._respawns if at > now_s]
        for job in due:
            self._start(job)


def _ignored(number: int) -> bool:
    """SIGHUP under nohup stays ignored. An ignored SIGINT is only a shell's background job."""
    return number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
