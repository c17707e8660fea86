"""`lam demo` as a user runs it: real processes, and nothing left of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lam_models.data.video import check_whole

PATIENCE_S = 120.0


def demo(out: Path, *words: str, domain: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lam_bringup.cli", "demo", "--out", str(out), *words]
    environment = {**os.environ, "ROS_DOMAIN_ID": str(domain + os.getpid() % 5)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def nodes_of(out: Path) -> list[str]:
    """Command lines of processes that log into this demo's folder."""
    mark, found = f"ROS_LOG_DIR={out.resolve() / 'log'}".encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text())
        except OSError:
            continue
    return found


def wait_for(condition) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def test_a_demo_succeeds_and_shows_it(tmp_path):
    process = demo(tmp_path, "--episodes", "1", "--tasks", "reach", domain=21)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    assert "1 of 1 episodes succeeded" in output
    check_whole(tmp_path / "demo.mp4")
    run = json.loads((tmp_path / "success.json").read_text())["runs"][0]
    assert run["succeeded"] and run["front_frames"] > 5 and run["wrist_frames"] > 5
    for name in ("demo.gif", "contact_sheet.png", "success.md"):
        assert (tmp_path / name).stat().st_size > 100
    assert nodes_of(tmp_path) == []


def test_ctrl_c_leaves_nothing_behind(tmp_path):
    process = demo(tmp_path, domain=27)
    wait_for(lambda: any("sim_node" in line for line in nodes_of(tmp_path)))
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in output
    assert nodes_of(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--tasks", "stak"], "Did you mean 'stack'?"), (["--episodes", "0"], "--episodes is 0")],
)
def test_a_mistake_is_one_line(tmp_path, words, said):
    process = demo(tmp_path, *words, domain=33)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert said in output
    assert "Traceback" not in output
    assert nodes_of(tmp_path) == []
