"""Children as process groups that cannot outlive the one who started them (Linux).

Each child leads its own session, so that Ctrl-C reaches only the supervisor, and what a child
starts in turn can be signalled with it. Should the supervisor be killed with SIGKILL, the kernel
sends its children SIGTERM, so that a node can still stop its robot; and a guard, forked off before,
ends every group that is left a moment later.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1
_GUARD_GRACE_S = 2.0
_libc = ctypes.CDLL(None, use_errno=True)


def start(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a child as the leader of a new group. OSError where it cannot be executed."""
    parent = os.getpid()

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # It died before the line above.
            os._exit(1)

    return subprocess.Popen(
        command,
        bufsize=0,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        # SIGPIPE stays ignored: a node that says goodbye to a dead supervisor must live to do it.
        restore_signals=False,
        preexec_fn=prepare,
    )


def send(leader: int, number: int) -> None:
    """Signal a whole group; nothing happens where it is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def reap(process: subprocess.Popen[bytes], pidfd: int) -> int:
    """The exit code of a child that has ended, as a shell gives it, and the end of its group."""
    # Until the leader is waited for, its number cannot be given to another group.
    os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
    send(process.pid, signal.SIGKILL)
    code = process.wait()
    return code if code >= 0 else 128 - code


class Guard:
    """A forked process that ends the groups it was told of when this process is gone.

    Make it before any thread exists. It keeps open files, and so the locks held by them.
    """

    def __init__(self) -> None:
        reading, self._pipe = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._pipe)
            try:
                _guard(reading)
            finally:
                os._exit(0)
        os.close(reading)

    def watch(self, leader: int) -> None:
        self._tell(f"{leader}\n")

    def forget(self, leader: int) -> None:
        self._tell(f"-{leader}\n")

    def close(self) -> None:
        """Let it go; the groups it still watches are ended."""
        os.close(self._pipe)
        os.waitpid(self._pid, 0)

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, line.encode())


def _guard(reading: int) -> None:
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    groups: set[int] = set()
    with open(reading) as lines:
        for line in lines:
            number = int(line)
            (groups.add if number > 0 else groups.discard)(abs(number))
    _end(groups)


def _end(groups: Iterable[int]) -> None:
    for leader in groups:
        send(leader, signal.SIGTERM)
    end_s = time.monotonic() + _GUARD_GRACE_S
    while time.monotonic() < end_s and any(_exists(leader) for leader in groups):
        time.sleep(0.05)
    for leader in groups:
        send(leader, signal.SIGKILL)


def _exists(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
