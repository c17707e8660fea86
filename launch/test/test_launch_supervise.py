"""The supervisor with tiny real processes. Nothing here depends on how fast the machine is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Runs in a process of its own: it forks, and it handles signals.
DRIVER = """
import json, os, signal, sys
from pathlib import Path
from lam_bringup.description import Process
from lam_bringup.process_log import ProcessLog
from lam_bringup.supervise import Grace, Job, supervise
# Whoever runs the tests may ignore them, as nohup does; that is inherited.
for number in (signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
jobs = []
for label, command, options in json.loads(sys.argv[1]):
    jobs.append(Job(Process(label, "", "", output="screen", **options), tuple(command)))
log = ProcessLog([job.process.label for job in jobs], sys.stdout, Path(sys.argv[2]))
sys.exit(supervise(jobs, log, os.environ, Grace(float(sys.argv[3]), float(sys.argv[3]))))
"""
ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0
FOREVER = "while :; do sleep 0.2; done"
STUBBORN = "trap '' INT TERM; echo ready; " + FOREVER

Job = tuple[str, list[str], dict]


def sh(label: str, script: str, **options: object) -> Job:
    return (label, ["sh", "-c", script], options)


class Run:
    """A supervisor at work."""

    def __init__(self, folder: Path, jobs: list[Job], grace_s: float) -> None:
        paths = [ROOT / "launch", ROOT / "models" / "src"]
        python_path = os.pathsep.join([*map(str, paths), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, json.dumps(jobs), str(folder), str(grace_s)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path},
        )
        assert self.process.stdout is not None
        self._output = self.process.stdout
        self.lines: list[str] = []

    def until(self, wanted: str) -> str:
        """Read on to the first line that contains this."""
        for line in self._output:
            self.lines.append(line.rstrip("\n"))
            if wanted in line:
                return self.lines[-1]
        raise AssertionError(f"no '{wanted}' in:\n" + "\n".join(self.lines))

    def end(self) -> int:
        """The exit code, after all output."""
        self.lines += [line.rstrip("\n") for line in self._output]
        return self.process.wait(PATIENCE_S)

    def said(self, label: str) -> list[str]:
        """What one process printed."""
        marked = [line for line in self.lines if line.startswith(f"[{label}]")]
        return [line.split("]", 1)[1].strip() for line in marked]


Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    runs: list[Run] = []

    def start_jobs(*jobs: Job, grace_s: float = PATIENCE_S) -> Run:
        runs.append(Run(tmp_path, list(jobs), grace_s))
        return runs[-1]

    yield start_jobs
    for run in runs:
        run.process.kill()
        run.process.wait()


def wait_until(true: Callable[[], bool]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end_s, "nothing came of it"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_all_that_end_well_end_well(start: Start) -> None:
    run = start(sh("a", "echo one"), sh("b", "echo two >&2"))
    assert run.end() == 0
    assert run.said("a") == ["one"] and run.said("b") == ["two"]


def test_processes_start_in_order(start: Start) -> None:
    run = start(*(sh(label, "true") for label in "dacb"))
    assert run.end() == 0
    started = [line.split()[1] for line in run.lines if " started " in line]
    assert started == list("dacb")


def test_lines_never_mix_and_the_last_needs_no_end(start: Start) -> None:
    run = start(
        sh("a", "printf 'one '; printf 'two\\r\\nthree'; sleep 0.2; printf ' four'"),
        sh("b", "for i in $(seq 2000); do echo $i; done"),
    )
    assert run.end() == 0
    assert run.said("a") == ["one two", "three four"]
    assert run.said("b") == [str(i) for i in range(1, 2001)]


def test_the_first_failure_brings_all_down_and_gives_the_exit_code(start: Start) -> None:
    run = start(sh("a", FOREVER), sh("b", "sleep 0.3; exit 7"), sh("c", FOREVER))
    assert run.end() == 7
    assert any("b failed: exit code 7" in line for line in run.lines)


def test_death_by_a_signal_is_a_failure(start: Start) -> None:
    run = start(sh("a", FOREVER), sh("b", "kill -SEGV $$"))
    assert run.end() == 128 + signal.SIGSEGV
    assert any("b failed: SIGSEGV" in line for line in run.lines)


def test_what_cannot_be_run_is_a_failure(start: Start) -> None:
    run = start(sh("a", FOREVER), ("b", ["/nowhere/b"], {}))
    assert run.end() == 126
    assert any("b: cannot run /nowhere/b: No such file" in line for line in run.lines)


def test_a_process_may_end_alone_or_end_the_launch(start: Start) -> None:
    run = start(sh("a", FOREVER), sh("b", "true"), sh("c", "sleep 0.5", ends_launch=True))
    assert run.end() == 0
    assert sum(" ended" in line for line in run.lines) == 3


def test_a_process_is_started_again(start: Start, tmp_path: Path) -> None:
    script = f"echo x >> {tmp_path}/count; test $(wc -l < {tmp_path}/count) -ge 3 && {FOREVER}"
    run = start(sh("a", script + "; exit 1", respawn_delay_s=0.0))
    wait_until(lambda: (tmp_path / "count").exists() and len(open_lines(tmp_path / "count")) == 3)
    run.process.send_signal(signal.SIGTERM)
    assert run.end() == 128 + signal.SIGTERM


def open_lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all(start: Start, number: signal.Signals) -> None:
    script = "trap 'echo bye; exit 0' INT; echo ready; " + FOREVER
    run = start(sh("a", script), sh("b", script), sh("c", script))
    pids = [int(run.until(" started ").split("pid ")[1].rstrip(")")) for _ in range(3)]
    wait_until(lambda: bool(run.until("ready")) and sum("ready" in s for s in run.lines) == 3)
    run.process.send_signal(number)
    assert run.end() == 128 + number
    assert sum("bye" in line for line in run.lines) == 3
    assert not any(alive(pid) for pid in pids)


def test_the_stubborn_are_killed_with_all_they_started(start: Start) -> None:
    run = start(sh("a", "trap '' INT TERM; sleep 300 & echo child $!; wait"), grace_s=0.2)
    child = int(run.until("child ").split()[-1])
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 128 + signal.SIGINT
    assert not alive(child)


def test_asking_twice_more_does_not_wait(start: Start) -> None:
    run = start(sh("a", STUBBORN))
    run.until("ready")
    for wanted in ("SIGINT: stopping", "a still runs: SIGTERM", "a still runs: SIGKILL"):
        run.process.send_signal(signal.SIGINT)
        run.until(wanted)
    assert run.end() == 128 + signal.SIGINT


def test_what_a_process_leaves_behind_ends_with_it(start: Start) -> None:
    run = start(sh("a", "sleep 300 & echo child $!"))
    child = int(run.until("child ").split()[-1])
    assert run.end() == 0
    wait_until(lambda: not alive(child))


def test_nothing_survives_a_killed_supervisor(start: Start) -> None:
    inner = "trap '' INT TERM HUP; sleep 300 & echo pids $$ $!; wait"
    run = start(sh("a", inner), sh("b", inner))
    pids = [int(word) for _ in range(2) for word in run.until("pids ").split()[-2:]]
    assert all(alive(pid) for pid in pids)
    run.process.send_signal(signal.SIGKILL)
    wait_until(lambda: not any(alive(pid) for pid in pids))


def test_a_killed_supervisor_lets_processes_say_goodbye(start: Start, tmp_path: Path) -> None:
    goodbye = tmp_path / "goodbye"
    run = start(sh("a", f"trap 'echo bye > {goodbye}; exit 0' TERM; echo ready; {FOREVER}"))
    run.until("ready")
    run.process.send_signal(signal.SIGKILL)
    wait_until(goodbye.exists)


def test_files_hold_every_line_without_colours(start: Start, tmp_path: Path) -> None:
    run = start(sh("a/b", "printf '\\033[31mred\\033[0m\\n'"))
    assert run.end() == 0
    assert (tmp_path / "a_b.log").read_text() == "red\n"
    assert "[a/b] red" in (tmp_path / "launch.log").read_text()
    assert not any("\x1b" in line for line in run.lines)


def test_nobody_reads_the_output(start: Start) -> None:
    run = start(sh("a", "while :; do echo x; sleep 0.05; done"))
    run.until("x")
    assert run.process.stdout is not None
    run.process.stdout.close()
    assert run.process.wait(PATIENCE_S) == 128 + signal.SIGPIPE
