"""`lam eval --ros`: real processes, their films and figures, and a policy that fails."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from lam_models.checkpoint import CameraSpec
from lam_models.command import UserError
from lam_models.data.video import VideoFile
from lam_models.hands.space import open_space
from lam_models.policy.instant import Config, write_instant
from lam_sim.rollouts import evaluate
from lam_sim.rollouts.driven import Driven, execution, film, sentence
from lam_sim.rollouts.launched import domains
from lam_sim.rollouts.rollout import Outcome, Purpose, episode_seed
from lam_sim.rollouts.score import Cell
from lam_sim.rollouts.through_ros import Filming, RosPolicy, RosWork
from lam_sim.worlds import EpisodeJob, WorldChoice

CAMERAS = (CameraSpec("front", 24, 32), CameraSpec("wrist", 24, 32))


def policy(path: Path, motion: np.ndarray) -> str:
    """A folder of the instant policy, which plays the motion."""
    config = Config(chunk_steps=8, dt_s=0.05)
    space = open_space("").latent
    return str(write_instant(path / "policy", space, CAMERAS, config=config, motion=motion))


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return parser.parse_args(["--workers", "1", "--hand", "parallel_gripper", *words])


def test_a_policy_is_driven_through_ros(tmp_path: Path) -> None:
    down = np.zeros((8, 6))
    down[:, 2] = -0.004
    out = tmp_path / "out"
    words = ("--policy", policy(tmp_path, down), "--task", "reach", "--episodes", "1")
    assert evaluate.run(arguments(*words, "--ros", "--out", str(out), "--video", "1")) == 0
    results = json.loads((out / "results.json").read_text())
    (cell,) = results["cells"]
    assert results["ros"] and cell["episodes"] == 1
    said = cell["execution"]
    assert said["commands"] > 20 and "workspace" in said["limits"]
    assert 0.0 < said["latency_p50_ms"] <= said["latency_p95_ms"]
    (video,) = (out / "videos").iterdir()
    seed = episode_seed(0, 0, Purpose.EVALUATION)
    assert video.name.startswith(f"reach_parallel_gripper_{seed}_")
    assert VideoFile(video).size == (256, 512)
    assert nodes_of(out) == []


def test_a_policy_that_fails_is_no_result(tmp_path: Path) -> None:
    work = RosWork(RosPolicy(policy(tmp_path, np.full((8, 6), np.nan))), log=tmp_path / "log")
    job = EpisodeJob(WorldChoice("table", "reach", "parallel_gripper"), 1)
    try:
        with pytest.raises(UserError, match=r"the policy failed: .*not finite"):
            work(job)
    finally:
        work.close()
    assert nodes_of(tmp_path) == []


def nodes_of(out: Path) -> list[str]:
    """Command lines of processes that log into this folder."""
    mark, found = str(out.resolve()).encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if b"ROS_LOG_DIR=" + mark in environment and process.name != str(os.getpid()):
            found.append(process.name)
    return found


@pytest.mark.parametrize("words", [("--policy", "expert"), ("--policy", ".", "--world", "x")])
def test_only_folders_run_through_ros(words: tuple[str, ...]) -> None:
    with pytest.raises(UserError):
        evaluate.run(arguments(*words, "--ros"))


def test_every_worker_finds_a_domain_of_its_own() -> None:
    tried = list(domains())
    # 102 and more share ports with whatever else runs on the machine.
    assert len(set(tried)) == len(tried) and min(tried) > 0 and max(tried) < 102


def test_what_limited_the_commands_is_told() -> None:
    once = Driven(1, "go", True, 2.0, 4.0, {"judged": 10, "workspace": 1}, (0.05, 0.08))
    twice = Driven(2, "go", False, 4.0, 4.0, {"judged": 30, "stopped by watchdog_s": 3})
    said = execution([once, twice, Outcome(3, "go", True, 1.0)])
    assert said["commands"] == 40 and said["real_time_factor"] == 0.75
    assert said["limits"] == {"stopped by watchdog_s": 3 / 40, "workspace": 1 / 40}
    assert said["latency_p50_ms"] == pytest.approx(50.0)
    assert "workspace 2.5 %" in sentence(said) and "0.75 x real time" in sentence(said)


def test_a_film_shows_the_cameras_side_by_side(tmp_path: Path) -> None:
    def jpeg(level: int) -> bytes:
        return cv2.imencode(".jpg", np.full((48, 64, 3), level, np.uint8))[1].tobytes()

    fronts = [(stamp, jpeg(40)) for stamp in (10, 20, 30)]
    path = tmp_path / "film.mp4"
    path.write_bytes(film({"front": fronts, "wrist": [(9, jpeg(200)), (25, jpeg(90))]}))
    frames = list(VideoFile(path).stream())
    left, right = zip(*[(f[:, :256].mean(), f[:, 256:].mean()) for f in frames], strict=True)
    assert len(frames) == 3 and np.ptp(left) < 10
    assert right[0] > 150 and right[1] > 150 and right[2] < 120, "never a picture of later"
    assert film({}) == b""


def test_only_the_first_failures_of_all_workers_stay(tmp_path: Path) -> None:
    plan = evaluate.Plan("p", "table", ("reach",), ("parallel_gripper",), 4, 0, 0.5, (), ros=True)
    outcomes = [Outcome(seed, "go", seed == 2, 1.0) for seed in range(4)]
    cell = Cell("reach", "parallel_gripper", outcomes)
    filming = Filming(tmp_path / "videos", frozenset([0]), 1)
    filming.folder.mkdir()
    for outcome in outcomes:
        if not outcome.success:
            name = f"reach_parallel_gripper_{outcome.seed}_failure.mp4"
            (filming.folder / name).write_bytes(b"")
    evaluate._keep_films(plan, [cell], 1, tmp_path)
    kept = [path.name for path in filming.folder.iterdir()]
    assert kept == ["reach_parallel_gripper_0_failure.mp4"]
