"""`lam data record`: from a teleoperating expert to a dataset, through all nodes and commands."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from lam_models.command import UserError
from lam_models.data.lerobot_read import Dataset
from lam_models.stages import data_check_command, from_bags_command
from lam_sim.rollouts import record
from lam_sim.rollouts.record import finished, note_of
from lam_sim.rollouts.rollout import Purpose, episode_seed
from lam_sim.worlds import EpisodeJob, WorldChoice

TELEOP = 1


def run(command: ModuleType, *words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


def test_teleoperated_episodes_become_a_dataset_without_a_finding(tmp_path: Path) -> None:
    pytest.importorskip("lam_bringup")
    pytest.importorskip("lam_teleop")
    bags, data = tmp_path / "bags", tmp_path / "data"
    words = ("--task", "place_crate", "--difficulty", "0", "--episodes", "2", "--out", bags)
    words += ("--noise", "0")
    assert run(record, *words, "--operator", "somebody") == 0
    folders = sorted(bags.iterdir())
    sidecars = [json.loads((folder / "episode.json").read_text()) for folder in folders]
    assert [said["outcome"] for said in sidecars] == ["success"] * 2
    assert {said["operator_name"] for said in sidecars} == {"somebody"}
    assert run(record, *words) == 0, "what is there already is not recorded again"
    assert sorted(bags.iterdir()) == folders

    assert run(from_bags_command, bags, "--out", data, "--size", "64", "--workers", "1") == 0
    dataset = Dataset.open(data)
    assert [one.tasks[0] for one in dataset.episodes] == [said["instruction"] for said in sidecars]
    for episode in range(2):
        source = dataset.episode_column(episode, "command.source").ravel()
        assert set(source.tolist()) <= {0, TELEOP} and (source == TELEOP).mean() > 0.5
        assert dataset.episode_column(episode, "next.success").ravel()[-1]
        assert dataset.episode_column(episode, "action")[:6, :3].any(), "it begins when it moves"
        told = dataset.episode_column(episode, "action")[:, :3].sum(0)
        moved = dataset.episode_column(episode, "measured.action")[:, :3].sum(0)
        assert np.abs(told - moved).max() < 0.03, "the arm went where it was told to, about"
    assert run(data_check_command, data) == 0


def test_what_is_there_is_told_by_notes(tmp_path: Path) -> None:
    job = EpisodeJob(WorldChoice("table", "reach", "parallel_gripper", 0.25), 7)
    for name, outcome in (("a", "success"), ("b.partial", "success")):
        (tmp_path / name).mkdir()
        said = {"note": note_of(job) if name == "a" else "other", "outcome": outcome}
        (tmp_path / name / "episode.json").write_text(json.dumps(said))
    assert finished(tmp_path) == {"reach, difficulty 0.25, seed 7": True}
    assert finished(tmp_path / "none") == {}


def test_scenes_are_those_of_generated_data() -> None:
    plan = record._plan(_arguments("--out", "x", "--seed", "3", "--episodes", "2"))
    seeds = [job.seed for job in plan.attempts()]
    assert seeds[:3] == [episode_seed(3, i, Purpose.DATA) for i in range(3)]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--task", "reach,stack"), "one task with one hand"),
        (("--task", "reech"), "'reech'.*'reach'"),
        (("--episodes", "0"), "episodes is 0"),
        (("--noise", "-1"), "noise is -1"),
        (("--difficulty", "2"), "difficulty is 2"),
        (("--real-time-factor", "0"), "real-time-factor is 0"),
    ],
)
def test_what_cannot_be_is_refused(words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        record._plan(_arguments("--out", "x", *words))


def _arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    record.add_arguments(parser)
    return parser.parse_args(list(words))
