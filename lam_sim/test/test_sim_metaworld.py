"""Meta-World as a World, where its venv is (`make metaworld`); the rest of the suite needs none."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from table_episodes import gripper_space

import lam_models
import lam_sim
from lam_models.command import UserError
from lam_models.data.lerobot_read import Dataset
from lam_models.hands.spec_file import read_hand
from lam_models.stages.fit_policy import fit_policy
from lam_models.stages.policy_settings import PolicySettings
from lam_sim.metaworld import venv as metaworld_venv
from lam_sim.rollouts import generate

PYTHON = metaworld_venv.VENV / "bin" / "python"
needs_venv = pytest.mark.skipif(
    not PYTHON.exists(), reason=f"{metaworld_venv.VENV} is missing: make metaworld"
)
ROOTS = [Path(str(package.__file__)).parents[1] for package in (lam_sim, lam_models)]

LAWS = """
import json, sys
import numpy as np
from lam_sim.metaworld.world import TASKS, TIME_LIMIT_S, MetaWorldKind
from lam_sim.rollouts.rollout import run_episode
from lam_sim.rollouts.actors import make_actor
from lam_sim.worlds import WorldChoice

kind = MetaWorldKind()
assert len(TASKS) == 50
successes = 0
for task in ("drawer-open", "pick-place"):
    plain = kind.make(WorldChoice("metaworld", task, "metaworld_gripper"))
    busy = kind.make(WorldChoice("metaworld", task, "metaworld_gripper", 0.5, kind.distractors()))
    for seed in (4, 3):
        last = run_episode(plain, make_actor("expert"), seed, TIME_LIMIT_S)
        assert run_episode(busy, make_actor("expert"), seed, TIME_LIMIT_S) == last
        successes += last.success
    assert len(busy.environment_names) == len(busy.environment_state())
    assert len(plain.state_names) == len(plain.proprioception())
    images = [world.render("front", 64, 64) for world in (plain, busy)]
    assert np.abs(images[0].astype(int) - images[1]).mean() > 5, "distractors are seen"
    again = kind.make(WorldChoice("metaworld", task, "metaworld_gripper", 0.5, kind.distractors()))
    assert run_episode(again, make_actor("expert"), 3, TIME_LIMIT_S) == last
    for camera in busy.cameras:
        assert np.array_equal(again.render(camera, 64, 64), busy.render(camera, 64, 64)), camera
print(json.dumps({"successes": successes}))
"""


HAND = Path(metaworld_venv.__file__).parent / "metaworld_gripper.yaml"


def start(
    *words: str, command: str = "generate", **environment: str
) -> subprocess.CompletedProcess[str]:
    """`lam data generate`, or another, as its own process, as its arguments would have it."""
    script = (
        f"import argparse, sys; import lam_sim.rollouts.{command} as c;"
        "p = argparse.ArgumentParser(); c.add_arguments(p); sys.exit(c.run(p.parse_args()))"
    )
    path = os.pathsep.join(map(str, ROOTS))
    return subprocess.run(
        [sys.executable, "-c", script, *words],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=250,
    )


def test_without_the_venv_one_line_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metaworld_venv, "VENV", tmp_path / "nowhere")
    monkeypatch.setattr(metaworld_venv, "needed", lambda world: world == "metaworld")
    parser = argparse.ArgumentParser()
    generate.add_arguments(parser)
    with pytest.raises(UserError, match="run `make metaworld`"):
        generate.run(parser.parse_args(["--world", "metaworld", "--out", str(tmp_path / "out")]))


@needs_venv
def test_laws_of_the_world() -> None:
    result = subprocess.run(
        [PYTHON, "-c", LAWS],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, ROOTS)), "MUJOCO_GL": "egl"},
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["successes"] >= 3


@needs_venv
def test_a_dataset_is_generated_from_here(tmp_path: Path) -> None:
    words = ("--world", "metaworld", "--task", "reach,door-open", "--episodes", "2", "--size", "32")
    result = start(*words, "--workers", "2", "--fps", "20", "--out", str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr
    data = Dataset.open(tmp_path / "out")
    assert data.fps == 20 and len(data.episodes) == 2
    assert [episode.tasks for episode in data.episodes] == [("reach",), ("door open",)]
    assert data.schema.features["action"].shape == (7,)


@needs_venv
def test_mistakes_made_there_are_one_line_here(tmp_path: Path) -> None:
    result = start("--world", "metaworld", "--task", "reech", "--out", str(tmp_path / "out"))
    assert result.returncode == 2
    assert result.stderr.splitlines() == [line for line in result.stderr.splitlines() if line]
    assert result.stderr.startswith("lam: error: unknown task 'reech'. Did you mean 'reach'")


def test_the_gripper_has_the_worlds_joint_and_range() -> None:
    spec = read_hand(HAND)
    assert (spec.hand, spec.actuated) == ("metaworld_gripper", ("gripper",))
    assert (list(spec.lower), list(spec.upper)) == ([-1.0], [1.0])
    opened, closed = (spec.expand(np.array([command])) for command in (-1.0, 1.0))
    fingers = [spec.names.index(name) for name in ("left_slide", "right_slide")]
    np.testing.assert_allclose(opened[fingers], 0.045)
    np.testing.assert_allclose(closed[fingers], 0.0)


@needs_venv
def test_a_policy_learns_and_acts(tmp_path: Path) -> None:
    words = ("--world", "metaworld", "--task", "reach")
    few = (*words, "--episodes", "2", "--workers", "1")
    result = start(*few, "--size", "32", "--out", str(tmp_path / "data"))
    assert result.returncode == 0, result.stderr
    space = gripper_space(tmp_path / "space", hands=(HAND,))
    settings = PolicySettings(
        out=tmp_path / "policy",
        datasets=(tmp_path / "data",),
        space=str(space),
        preset="tiny",
        steps=2,
        validation=0.0,
        changes={"dt_s": 1.0 / 40.0},
    )
    policy = fit_policy(settings)
    acts = ("--policy", str(policy), "--space", str(space), "--replan", "8")
    result = start(*few, *acts, "--out", str(tmp_path / "scores"), command="evaluate")
    assert result.returncode == 0, result.stderr
    cells = json.loads((tmp_path / "scores" / "results.json").read_text())["cells"]
    assert [(cell["task"], cell["episodes"]) for cell in cells] == [("reach", 2)]
