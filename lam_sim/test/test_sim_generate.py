"""`lam data generate`: what is written, that it is always the same, and what is left on a stop."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lam_models.command import UserError
from lam_models.data.lerobot_read import Dataset
from lam_models.geometry import apply_delta
from lam_sim.rollouts import generate
from lam_sim.rollouts.ledger import Ledger
from lam_sim.rollouts.recording import compose

SCRIPT = """
import argparse, sys
import lam_sim.rollouts.generate as command
from lam_models.command import UserError
parser = argparse.ArgumentParser()
command.add_arguments(parser)
if __name__ == "__main__":
    try:
        sys.exit(command.run(parser.parse_args()))
    except UserError as error:
        sys.exit(f"lam: {error}")
"""


def plan(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    generate.add_arguments(parser)
    return parser.parse_args(words)


def make(out: Path, *words: str) -> Dataset:
    args = plan("--out", str(out), "--size", "32", "--episodes", "2", "--workers", "1", *words)
    assert generate.run(args) == 0
    return Dataset.open(out)


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_dataset_holds_what_was_asked(tmp_path: Path) -> None:
    data = make(tmp_path / "data", "--task", "reach,push_to_zone", "--episodes", "3")
    assert data.cameras == ("observation.images.front", "observation.images.wrist")
    assert data.fps == 20 and len(data.episodes) == 3
    assert {"observation.state", "observation.environment_state", "action", "next.success"} == set(
        data.schema.columns
    )
    names = data.schema.features["action"].names
    assert names and names[-1] == "gripper_width"
    for episode in data.episodes:
        assert episode.tasks[0]
        success = data.episode_column(episode.index, "next.success")[:, 0]
        first = int(np.argmax(success))
        assert success[first:].all() and not success[:first].any()
        assert len(success) - first == 1 + round(0.5 * data.fps)  # It goes on for a while.
    image = data.frames(0, "observation.images.front", 0, 1)[0]
    assert image.shape == (32, 32, 3) and image.std() > 5
    origin = json.loads((tmp_path / "data" / "origin.json").read_text())
    assert origin["attempts"] == {"reach": 2, "push_to_zone": 1}


def test_the_number_of_workers_changes_nothing_and_the_seed_everything(tmp_path: Path) -> None:
    words = ("--task", "reach", "--episodes", "4", "--distractors", "background,objects")
    make(tmp_path / "one", *words)
    make(tmp_path / "two", *words, "--workers", "2")
    make(tmp_path / "other", *words, "--seed", "1")
    one = contents(tmp_path / "one")
    assert one == contents(tmp_path / "two")
    other = contents(tmp_path / "other")
    data_file = "data/chunk-000/file-000.parquet"
    assert one[data_file] != other[data_file]


def test_noise_disturbs_what_happens_and_not_what_is_recorded(tmp_path: Path) -> None:
    clean = make(tmp_path / "clean", "--task", "reach", "--noise", "0")
    noisy = make(tmp_path / "noisy", "--task", "reach", "--noise", "0.02")

    def misfit_m(data: Dataset) -> float:
        """How far the recorded actions are from the motion that followed."""
        action = data.episode_column(0, "action")[:-1, :3].astype(float)
        moved = np.diff(data.episode_column(0, "observation.state")[:, :3].astype(float), axis=0)
        return float(np.sqrt(np.mean((action - moved) ** 2)))

    first = [data.episode_column(0, "action")[0] for data in (clean, noisy)]
    assert np.array_equal(*first), "the expert saw the same world, so the first label is the same"
    assert misfit_m(noisy) > misfit_m(clean) + 0.003


def test_video_only(tmp_path: Path) -> None:
    data = make(tmp_path / "video", "--task", "reach", "--without-actions", "--human")
    assert not data.schema.columns and len(data.cameras) == 2


def test_a_camera_alone_shows_what_it_shows_beside_others(tmp_path: Path) -> None:
    key = "observation.images.front"
    front, both = (make(tmp_path / name, "--cameras", name) for name in ("front", "all"))
    assert front.cameras == (key,) and len(both.cameras) == 2
    for alone, beside in zip(front.iterate(1), both.iterate(1), strict=True):
        assert np.array_equal(alone[key], beside[key])


def test_fewer_frames_a_second_keep_the_way(tmp_path: Path) -> None:
    full = make(tmp_path / "full", "--task", "reach", "--noise", "0")
    half = make(tmp_path / "half", "--task", "reach", "--noise", "0", "--fps", "10")
    assert half.fps == 10 and half.episodes[0].length == (full.episodes[0].length + 1) // 2
    totals = [data.episode_column(0, "action")[:, :3].sum(axis=0) for data in (full, half)]
    assert np.allclose(*totals, atol=1e-6)
    frames = [data.frames(0, "observation.images.front") for data in (full, half)]
    assert np.abs(frames[0][2].astype(int) - frames[1][1]).mean() < 2.0


def test_composed_deltas_are_one_delta() -> None:
    rng = np.random.default_rng(0)
    deltas = [np.concatenate([rng.normal(0, 0.02, 3), rng.normal(0, 0.3, 3)]) for _ in range(4)]
    T = np.eye(4)
    for delta in deltas:
        T = apply_delta(T, delta)
    assert np.allclose(apply_delta(np.eye(4), compose(deltas)), T)


def test_several_hands_give_a_dataset_each(tmp_path: Path) -> None:
    args = plan("--out", str(tmp_path / "all"), "--hand", "parallel_gripper,four_finger")
    args.task, args.episodes, args.size, args.workers = "reach", 1, 32, "1"
    assert generate.run(args) == 0
    sizes = {
        hand: Dataset.open(tmp_path / "all" / hand).schema.features["action"].shape
        for hand in ("parallel_gripper", "four_finger")
    }
    assert sizes == {"parallel_gripper": (7,), "four_finger": (22,)}


def test_only_successes_keeps_the_first_of_each_task() -> None:
    ledger = Ledger(("reach", "stack"), episodes=3, only_successes=True)
    assert [ledger.note("reach", s) for s in (False, True, True, True)] == [
        False,
        True,
        True,
        False,
    ]
    assert not ledger.wants("reach") and ledger.wants("stack")
    with pytest.raises(UserError, match="'stack': only 0 of 5 attempts"):
        for _ in range(5):
            ledger.note("stack", False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--task", "reech"), "unknown task 'reech'. Did you mean 'reach'"),
        (("--hand", "four_fingers"), "unknown hand 'four_fingers'. Did you mean 'four_finger'"),
        (("--distractors", "lights"), "unknown distractor 'lights'. Did you mean 'light'"),
        (("--distractors", "light,light"), "distractor 'light' is given twice"),
        (("--task", "none"), "choose at least one task"),
        (("--world", "tabel"), "unknown world 'tabel'. Did you mean 'table'"),
        (("--codec", "h265"), "unknown video codec 'h265'"),
        (("--episodes", "0"), "--episodes is 0; allowed: 1 or more"),
        (("--task", "all", "--episodes", "2"), "--episodes is 2, too few for 5 tasks"),
        (("--size", "33"), "--size is 33; video needs an even number"),
        (("--cameras", "back"), "unknown camera 'back'"),
        (("--noise", "-1"), "--noise is -1.0; allowed: 0.0 or more"),
        (("--difficulty", "2"), "difficulty is 2; allowed: 0 to 1"),
        (("--fps", "15"), "--fps is 15; allowed: divisors of the control rate, 20 Hz"),
        (("--workers", "some"), "--workers is 'some'; allowed: auto, or a number from 1"),
    ],
)
def test_mistakes_are_one_line(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError) as caught:
        generate.run(plan("--out", str(tmp_path / "out"), *words))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_what_exists_is_refused_or_replaced_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(out, "--task", "reach")
    before = contents(out)
    with pytest.raises(UserError, match="exists already"):
        make(out, "--task", "reach")
    with pytest.raises(UserError, match="--fps"):
        make(out, "--task", "reach", "--overwrite", "--fps", "3")
    assert contents(out) == before
    make(out, "--task", "reach", "--overwrite", "--seed", "5")
    assert contents(out) != before and list(tmp_path.iterdir()) == [out]
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="is not a dataset"):
        make(tmp_path / "mine", "--overwrite")


def start(out: Path) -> subprocess.Popen[str]:
    """A long generation in two workers, in a process group of its own, under way."""
    script = out.with_name("script.py")
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), "--task", "reach", "--episodes", "5000"]
    command += ["--size", "32", "--workers", "2", "--out", str(out)]
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    partial = out.with_name(out.name + ".partial")
    deadline = time.monotonic() + 120
    while not list(partial.glob("videos/*/*/*.mp4")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)
    return process


def assert_group_ends(group: int) -> None:
    deadline = time.monotonic() + 20
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.1)
        os.killpg(group, signal.SIGKILL)
        pytest.fail("a process was left")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_nothing(tmp_path: Path, number: int) -> None:
    process = start(tmp_path / "out")
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # As a terminal does on Ctrl-C.
    else:
        process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"interrupted: {tmp_path / 'out'} was not written" in output
    assert "Traceback" not in errors
    assert_group_ends(process.pid)
    assert [path.name for path in tmp_path.iterdir()] == ["script.py"]


def test_a_killed_run_leaves_no_worker_and_nothing_whole(tmp_path: Path) -> None:
    process = start(tmp_path / "out")
    process.kill()
    process.communicate(timeout=60)
    assert_group_ends(process.pid)
    assert not (tmp_path / "out").exists()
    make(tmp_path / "out", "--task", "reach")
    assert not (tmp_path / "out.partial").exists()
