"""The demo's nodes: a launch that ends with the block it is for."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lam_bringup import process_group
from lam_bringup.executables import share_directory

_STOP_S = 15.0


@contextlib.contextmanager
def launched(words: Sequence[str], log: Path) -> Iterator[Callable[[], str]]:
    """`lam launch` with these words; yields what tells why its nodes ended, "" while they run.

    However the block is left, no process is.
    """
    # Set here as in the launch file: this process receives the images.
    profile = str(Path(share_directory("lam_bringup")) / "config" / "fastdds.xml")
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        os.environ.setdefault(name, profile)
    log.mkdir(parents=True)
    command = [sys.executable, "-m", "lam_bringup.cli", "launch", *words]
    guard = process_group.Guard()
    process = process_group.start(command, {**os.environ, "ROS_LOG_DIR": str(log.resolve())})
    guard.watch(process.pid)
    output = log / "output.txt"
    reader = threading.Thread(target=_keep_output, args=(process, output), daemon=True)
    reader.start()

    def fault() -> str:
        if process.poll() is None:
            return ""
        reader.join(2.0)
        return f"the nodes ended ({_what_went_wrong(output.read_text())}); see {log}"

    try:
        yield fault
    finally:
        process_group.send(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
        process_group.send(process.pid, signal.SIGKILL)
        process.wait()
        guard.close()


def _what_went_wrong(said: str) -> str:
    """One line of it: what went wrong comes before how all the others were stopped for it."""
    lines = said.strip().splitlines() or ["it said nothing"]
    wrong = [line for line in lines if "[ERROR]" in line or " failed: " in line]
    return " ".join((wrong or lines[-1:])[0].split())


def _keep_output(process: subprocess.Popen[bytes], path: Path) -> None:
    """Write what the launch says to a file; a full pipe would stop it."""
    assert process.stdout and process.stderr
    with path.open("wb", buffering=0) as file:
        errors = threading.Thread(
            target=shutil.copyfileobj, args=(process.stderr, file, 1), daemon=True
        )
        errors.start()
        for line in process.stdout:
            file.write(line)
        errors.join()
