"""`lam demo` as a user runs it: real processes, and nothing left of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lam_models.checkpoint import CameraSpec
from lam_models.data.video import check_whole
from lam_models.hands.space import open_space
from lam_models.policy.instant import Config, write_instant

PATIENCE_S = 200.0


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


def judge(out: Path, process: subprocess.Popen[str]) -> tuple[str, dict]:
    """What a demo said and wrote. Should it hang, nothing is left of it."""
    try:
        output, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert nodes_of(out) == []
    path = out / "success.json"
    return output, json.loads(path.read_text()) if path.exists() else {}


def instant_policy(path: Path, step_m: float) -> Path:
    """The folder of a policy that goes along z, whatever it sees."""
    motion = np.zeros((8, 6))
    motion[:, 2] = step_m
    cameras = (CameraSpec("front", 24, 32), CameraSpec("wrist", 24, 32))
    config = Config(chunk_steps=8, dt_s=0.05)
    return write_instant(path, open_space("").latent, cameras, config=config, motion=motion)


def test_the_expert_succeeds_and_is_shown(tmp_path):
    words = ("--policy", "expert", "--episodes", "1", "--tasks", "reach")
    process = demo(tmp_path, *words, domain=21)
    output, written = judge(tmp_path, process)
    assert process.returncode == 0, output
    assert "1 of 1 episodes succeeded" in output
    check_whole(tmp_path / "demo.mp4")
    (run,) = written["runs"]
    assert written["policy"] == "expert"
    assert run["succeeded"] and run["front_frames"] > 5 and run["wrist_frames"] > 5
    for name in ("demo.gif", "contact_sheet.png", "success.md"):
        assert (tmp_path / name).stat().st_size > 100


def test_a_policy_is_told_what_to_do(tmp_path):
    folder, out = instant_policy(tmp_path / "policy", -0.004), tmp_path / "out"
    words = ("--episodes", "1", "--tasks", "reach", "--hands", "four_finger")
    process = demo(out, "--policy", str(folder), *words, domain=27)
    output, written = judge(out, process)
    (run,) = written["runs"]
    good = int(run["succeeded"])
    assert process.returncode == 1 - good, output
    assert f"{good} of 1 episodes succeeded" in output
    assert written["policy"] == str(folder) and run["hand"] == "four_finger"
    assert good or run["reason"] == "the task's time limit passed"
    assert run["instruction"] and run["front_frames"] > 5
    check_whole(out / "demo.mp4")


def test_an_episode_ends_where_the_policy_fails(tmp_path):
    folder, out = instant_policy(tmp_path / "policy", float("nan")), tmp_path / "out"
    process = demo(out, "--policy", str(folder), "--episodes", "2", domain=45)
    output, written = judge(out, process)
    assert process.returncode == 1, output
    assert [run["task"] for run in written["runs"]] == ["reach", "push_to_zone"]
    assert all("not finite" in run["reason"] for run in written["runs"])


def test_ctrl_c_leaves_nothing_behind(tmp_path):
    process = demo(tmp_path, "--policy", "expert", domain=33)
    try:
        wait_for(lambda: any("sim_node" in line for line in nodes_of(tmp_path)))
    finally:
        process.send_signal(signal.SIGINT)
    output, _ = judge(tmp_path, process)
    assert process.returncode == 130
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--policy", "expert", "--tasks", "stak"], "Did you mean 'stack'?"),
        (["--policy", "expert", "--episodes", "0"], "--episodes is 0"),
        (["--policy", "nowhere"], "nowhere is no policy"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, words, said):
    process = demo(tmp_path, *words, domain=39)
    output, _ = judge(tmp_path, process)
    assert process.returncode == 2
    assert said in output
    assert "Traceback" not in output
