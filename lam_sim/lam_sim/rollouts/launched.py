"""A launch file at work in a ROS domain of its own, for as long as an evaluation needs it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

# 102 and more share their ports with those that Linux gives to anybody; low ones are what people
# use, and a robot may be there.
_DOMAINS = range(60, 102)
_STOP_S = 20.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Launched:
    """`lam launch` with these words; `close` ends it and all of its nodes.

    log: folder for what the nodes say. Should this process be killed, the launch ends too.
    """

    def __init__(self, words: Sequence[str], domain: int, log: Path) -> None:
        self._output = log / f"launch_{domain}.txt"
        log.mkdir(parents=True, exist_ok=True)
        environment = os.environ | {
            "ROS_DOMAIN_ID": str(domain),
            "ROS_LOG_DIR": str(log.resolve()),
            # An evaluation must not move a robot that somebody on the network has.
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        }
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lam_bringup.cli", "launch", *words],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    def fault(self) -> str:
        """Why the nodes do not run any more, one sentence; "" while they do."""
        if self._process.poll() is None:
            return ""
        lines = self._said().strip().splitlines() or ["it said nothing"]
        # What went wrong comes before how all the others were stopped for it.
        wrong = [line for line in lines if "[ERROR]" in line or " failed: " in line]
        told = " ".join((wrong or lines[-1:])[0].split())
        return f"the nodes ended ({told}); see {self._output}"

    def refused(self) -> bool:
        """Whether somebody else has the domain."""
        return self._process.poll() is not None and "is in use by" in self._said()

    def close(self) -> None:
        """End it, and wait for that."""
        for number in (signal.SIGINT, signal.SIGKILL):
            if self._process.poll() is None:
                self._process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_STOP_S)

    def _said(self) -> str:
        return self._output.read_text(errors="replace")


def domains() -> Iterator[int]:
    """ROS domains to try, each process beginning with another one."""
    first = os.getpid() % len(_DOMAINS)
    for i in range(len(_DOMAINS)):
        yield _DOMAINS[(first + i) % len(_DOMAINS)]


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
