"""Processes of a system test, in a ROS domain of their own and with their output in files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

# For nodes that must not meet those of the tests within one process.
DOMAIN = 1 + os.getpid() % 39
PATIENCE_S = 60.0


@contextmanager
def process(words: list[str], log: Path, env: Mapping[str, str] = os.environ) -> Iterator[None]:
    """A Python process that writes to `log`, ended by SIGINT."""
    env = {**env, "ROS_DOMAIN_ID": str(DOMAIN), "ROS_LOG_DIR": str(log.parent / "ros")}
    with log.open("w") as out:
        started = subprocess.Popen([sys.executable, *words], env=env, stdout=out, stderr=out)
    try:
        yield
        assert started.poll() is None, log.read_text()
    finally:
        started.send_signal(signal.SIGINT)
        try:
            started.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def launch(
    file: str, words: Sequence[str], log: Path, env: Mapping[str, str] = os.environ
) -> AbstractContextManager[None]:
    """`lam launch` of a file with arguments."""
    return process(["-m", "lam_bringup.cli", "launch", file, *words], log, env)
