"""`lam eval`: the interval, the table, the exit code, the videos."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lam_models.command import UserError
from lam_models.data.video import VideoFile
from lam_sim.rollouts import evaluate
from lam_sim.rollouts.rollout import Outcome, Purpose, episode_seed
from lam_sim.rollouts.score import Cell, markdown
from lam_sim.rollouts.wilson import wilson_interval


def plan(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    return parser.parse_args(["--workers", "1", *words])


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_against_published_values(
    successes: int, trials: int, low: float, high: float
) -> None:
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_holds_the_rate_and_mirrors(counts: tuple[int, int]) -> None:
    successes, trials = counts
    low, high = wilson_interval(successes, trials)
    assert 0.0 <= low <= successes / trials <= high <= 1.0
    mirrored = wilson_interval(trials - successes, trials)
    assert mirrored == pytest.approx((1.0 - high, 1.0 - low), abs=1e-12)


def test_wilson_interval_refuses_what_is_no_proportion() -> None:
    with pytest.raises(ValueError, match="3 successes of 2 trials"):
        wilson_interval(3, 2)


def test_training_and_evaluation_share_no_episodes() -> None:
    seeds = [
        episode_seed(run, i, purpose) for run in (0, 1) for i in range(500) for purpose in Purpose
    ]
    assert len(set(seeds)) == len(seeds)


def test_the_expert_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--policy", "expert", "--task", "reach,push_to_zone", "--hand", "parallel_gripper")
    out = tmp_path / "out"
    args = plan(*words, "--episodes", "3", "--out", str(out), "--video", "1", "--at-least", "0.5")
    assert evaluate.run(args) == 0
    assert "push_to_zone" in capsys.readouterr().out
    results = json.loads((out / "results.json").read_text())
    assert [cell["episodes"] for cell in results["cells"]] == [3, 3]
    assert all(cell["mean_success_s"] > 0 for cell in results["cells"] if cell["successes"])
    videos = sorted((out / "videos").iterdir())
    assert any(path.name.startswith("reach_parallel_gripper_") for path in videos)
    assert VideoFile(videos[0]).size == (256, 512)


def test_standing_still_fails_and_the_exit_code_says_so(tmp_path: Path) -> None:
    words = ("--policy", "noop", "--task", "reach", "--hand", "parallel_gripper")
    out = str(tmp_path / "out")
    args = plan(*words, "--episodes", "2", "--out", out, "--video", "2", "--at-least", "0.95")
    assert evaluate.run(args) == 1
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    seeds = results["cells"][0]["failed_seeds"]
    assert len(seeds) == 2 and results["cells"][0]["mean_success_s"] is None
    names = {path.name for path in (tmp_path / "out" / "videos").iterdir()}
    assert names == {f"reach_parallel_gripper_{seed}_failure.mp4" for seed in seeds}


def test_acting_blindly_is_worse_than_looking() -> None:
    words = ("--task", "pick_place", "--hand", "parallel_gripper", "--episodes", "4")
    rates = {}
    for policy in ("expert", "replay"):
        cells = evaluate._measure(evaluate._plan(plan("--policy", policy, *words)), 1)
        rates[policy] = cells[0].rate
    assert rates["replay"] < rates["expert"]


def test_the_number_of_workers_changes_nothing() -> None:
    measured = [
        evaluate._measure(
            evaluate._plan(plan("--policy", "expert", "--task", "reach", "--episodes", "3")), count
        )
        for count in (1, 2)
    ]
    assert measured[0] == measured[1]


def test_markdown_names_the_failures() -> None:
    outcomes = [Outcome(seed, "reach", seed < 3, 1.5) for seed in range(4)]
    text = markdown("expert", [Cell("reach", "parallel_gripper", outcomes)])
    assert "| reach | parallel_gripper | 3/4 | 75.0 % | 30.1 - 95.4 | 1.5 s |" in text
    assert "failed seeds of reach with parallel_gripper: 3" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--policy", "expart"), "unknown policy 'expart'. Did you mean 'expert'"),
        (("--policy", "out/policy"), "no policy folder at out/policy"),
        (("--policy", "expert", "--task", "stak"), "unknown task 'stak'. Did you mean 'stack'"),
        (("--policy", "expert", "--video", "1"), "--video needs --out"),
        (("--policy", "expert", "--at-least", "95"), "--at-least is 95; allowed: 0 to 1"),
        (("--policy", "expert", "--episodes", "0"), "--episodes is 0; allowed: 1 or more"),
    ],
)
def test_mistakes_are_one_line(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UserError) as caught:
        evaluate.run(plan(*words))
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
