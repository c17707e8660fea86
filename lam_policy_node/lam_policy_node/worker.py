"""A policy in a process of its own, asked without waiting.

A process, not a thread: beside a model that keeps Python's lock, commands of a thread's node come
late by whole switch intervals (bench/policy_worker.py measures both), a model that hangs can be
ended, and one that crashes takes nothing with it that moves the robot.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from queue import Empty, SimpleQueue

from lam_models.checkpoint import Spec
from lam_models.command import UserError
from lam_models.strict_json import from_json
from lam_policy_node import wire
from lam_policy_node.policy_process import MESSAGE_BYTES
from lam_policy_node.request import SLOT_BYTES, Answer, Request, pack_request, unpack_answer

OPENER = "lam_models.policy.opening:open_policy"
# How OpenMP, and with it PyTorch on a CPU, is told how many threads compute.
THREADS = "OMP_NUM_THREADS"
_MOST_CAMERAS = 16
_SLICE_S = 0.1


@dataclass(frozen=True)
class Loaded:
    """What the process says of its policy. model_s: duration of a warm call."""

    spec: Spec
    weights_hash: str
    takes_committed: bool
    model_s: float


class PolicyProcess:
    """`with` or `close` ends it. All but `load` return at once.

    wake: called from another thread whenever `poll` may have something to say.
    """

    def __init__(
        self,
        path: str,
        device: str = "cpu",
        opener: str = OPENER,
        wake: Callable[[], object] = lambda: None,
    ) -> None:
        self.path = path
        self._wake = wake
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        memory = os.memfd_create("policy_pictures")
        os.ftruncate(memory, _MOST_CAMERAS * SLOT_BYTES)
        self._memory = mmap(memory, 0)
        words = [str(theirs.fileno()), str(memory), opener, path, device]
        # The child finds modules where this process does, however that came to be.
        modules = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment = {THREADS: str(half_the_cores()), **os.environ, **modules}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lam_policy_node.policy_process", *words],
            pass_fds=(theirs.fileno(), memory),
            env=environment,
        )
        theirs.close()
        os.close(memory)
        self._asked_ns: int | None = None
        self._death = ""
        self._said: SimpleQueue[bytes] = SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> PolicyProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def death(self) -> str:
        """Why it cannot be asked any more, one sentence; "" while it can."""
        return self._death

    def load(self, timeout_s: float, give_up: Callable[[], object] = lambda: False) -> Loaded:
        """Wait until the policy is there. UserError that says why it is not."""
        end_s, message = time.monotonic() + timeout_s, None
        while message is None:
            if give_up() or time.monotonic() > end_s:
                self.close()
                raise UserError(f"policy '{self.path}' did not load within {timeout_s:g} s")
            with suppress(Empty):
                message = self._said.get(timeout=_SLICE_S)
        if not message:
            self._bury()
            raise UserError(f"policy '{self.path}' did not load: {self._death}")
        said, _ = wire.unpack(message)
        if "failed" in said:
            self.close()
            raise UserError(f"policy '{self.path}' did not load: {said['failed']}")
        spec = from_json(Spec, said.pop("spec"), self.path)
        return Loaded(spec, **said)

    def thinking_s(self, now_ns: int) -> float | None:
        """For how long it has been at its present request, None when it has none. Monotonic."""
        return None if self._asked_ns is None else (now_ns - self._asked_ns) / 1e9

    def ask(self, request: Request, now_ns: int) -> None:
        """Begin a request; only when it has none. A dead process shows at the next `poll`."""
        if self._asked_ns is not None:
            raise RuntimeError("the policy is still at the request before")
        # A process that is gone says so by itself.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.send(pack_request(request, self._memory))
        self._asked_ns = now_ns

    def poll(self) -> Answer | None:
        """The answer, if it has come."""
        if self._death or self._said.empty():
            return None
        self._asked_ns = None
        if message := self._said.get():
            return unpack_answer(message)
        self._bury()
        return None

    def close(self, reason: str = "it was ended") -> None:
        """End it, whatever it is doing."""
        if self._death:
            return
        self._death, self._asked_ns = reason, None
        with suppress(OSError):  # It may have hung up first.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._listener.join()
        self._socket.close()
        self._process.kill()
        self._process.wait()
        self._memory.close()

    def _listen(self) -> None:
        """Receive until the end, which is an empty message."""
        message = b"?"
        while message:
            try:
                message = self._socket.recv(MESSAGE_BYTES)
            except ConnectionResetError:
                message = b""
            self._said.put(message)
            self._wake()

    def _bury(self) -> None:
        """The process has hung up: wait for its end, and say how it was."""
        try:
            code: int | str = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            code = "unknown"
        self.close(f"the policy's process ended (exit code {code})")


def half_the_cores() -> int:
    """For the policy. The robot's nodes need the others: with none left, each step of a network
    waits for a thread that had to make room.
    """
    return max(1, len(os.sched_getaffinity(0)) // 2)


def shown(path: str) -> str:
    """A folder's name for people."""
    return Path(path).name or path
