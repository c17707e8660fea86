"""Actions and poses read from video: near the truth, beside it, and learnt in its place."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moving_squares import record_squares
from table_episodes import gripper_space

from lam_models.checkpoint import open_checkpoint
from lam_models.command import UserError
from lam_models.data.latents import LatentOrigin, LatentsWriter, Rows
from lam_models.data.lerobot_layout import PSEUDO_ACTIONS
from lam_models.data.lerobot_read import Dataset
from lam_models.data.pseudo_actions import PseudoActions, pseudo_actions
from lam_models.data.split import evenly_spread
from lam_models.hands.space import open_space
from lam_models.policy.opening import open_policy
from lam_models.sense.pinhole import Pinhole
from lam_models.stages import fit_actions_command, fit_idm_command, label_actions_command
from lam_models.stages.demonstrations import Demonstrations, Wanted, open_demonstrations
from lam_models.stages.label_actions import open_idm, read_episode
from lam_models.types import LatentSpec

EPISODES, LABELLED = 12, 8
PINHOLE = Pinhole(1.0, (0.4, 0.0, 1.0), (np.pi, 0.0, 0.0))


def run(command: Any, *words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes, a space, a model of LABELLED of them, and the actions it reads of all."""
    folder = tmp_path_factory.mktemp("squares")
    data = record_squares(folder / "data", EPISODES, pinhole=PINHOLE)
    video = record_squares(folder / "video", 3, seed=1, pinhole=PINHOLE, video=True)
    space = gripper_space(folder / "space")
    words = ("--space", space, "--episodes", str(LABELLED), "--preset", "tiny", "--steps", "150")
    words = (*words, "--set", "gap_steps=3", "--validation", "0.2")
    assert run(fit_idm_command, data, "--out", folder / "idm", *words) == 0
    for path in (data, video):
        assert run(label_actions_command, folder / "idm", path, "--space", space) == 0
    return folder


def seen(folder: Path, pseudo: str | None = None, dt_s: float = 0.05) -> Demonstrations:
    space = open_space(folder / "space")
    wanted = Wanted(("front", "wrist"), 32, dt_s, chunk_steps=3, space=space, pseudo=pseudo)
    return open_demonstrations(folder / "data", wanted)


def read_poses(folder: Path) -> np.ndarray:
    """What lies beside the data, known episodes or not."""
    hand = open_space(folder / "space").latent
    one = seen(folder)
    found = pseudo_actions(Dataset.open(folder / "data"), one.caches[0], "", hand, 0.05)
    assert found.poses is not None
    return found.poses


def rows_of(one: Demonstrations, labelled: bool) -> np.ndarray:
    known = set(evenly_spread(EPISODES, LABELLED).tolist())
    return one.rows_of([i for i in range(EPISODES) if (i in known) == labelled])


def missed(found: np.ndarray, truth: np.ndarray) -> float:
    """Square error as a share of the truth's own variance."""
    return float(np.square(found - truth).sum() / np.square(truth - truth.mean(0)).sum())


def test_unlabelled_video_is_read_better_than_by_the_mean(folder: Path):
    true, read = seen(folder).actions, seen(folder, "").actions
    assert true is not None and read is not None
    rows = rows_of(seen(folder), labelled=False)
    assert missed(read[rows, :2], true[rows, :2]) < 0.5
    assert missed(read[rows, 6:], true[rows, 6:]) < 0.7
    assert np.allclose(np.linalg.norm(read[:, 6:], axis=1), 1.0, atol=1e-5)


def test_labelled_episodes_keep_their_own_actions(folder: Path):
    true, read = seen(folder).actions, seen(folder, "").actions
    assert true is not None and read is not None
    assert np.array_equal(read[rows_of(seen(folder), True)], true[rows_of(seen(folder), True)])
    others = rows_of(seen(folder), False)
    assert not np.allclose(read[others], true[others], atol=1e-3)


def test_poses_of_unlabelled_video_are_told_and_known_ones_are_kept(folder: Path):
    one, read = seen(folder), read_poses(folder)
    rows = rows_of(one, labelled=False)
    assert missed(read[rows, :2], one.features[rows, :2]) < 0.15
    assert np.abs(read[rows, 2:] - one.features[rows, 2:]).max() < 0.1
    first, second = read[rows, 3:6], read[rows, 6:]
    assert np.allclose([(first * first).sum(1), (second * second).sum(1)], 1.0, atol=1e-5)
    assert np.allclose((first * second).sum(1), 0.0, atol=1e-5)
    rows = rows_of(one, labelled=True)
    assert np.array_equal(read[rows], one.features[rows])


def test_video_without_states_has_the_poses_that_were_read(folder: Path, tmp_path: Path):
    space = open_space(folder / "space")
    wanted = Wanted(("front", "wrist"), 32, 0.05, 3, space=space, pseudo="")
    found = open_demonstrations(folder / "video", wanted)
    same = record_squares(tmp_path / "same", 3, seed=1)
    truth = open_demonstrations(same, Wanted(("front",), 32, 0.05, 3, space=space))
    assert found.has_state and found.waypoints is not None
    assert missed(found.features[:, :2], truth.features[:, :2]) < 0.15
    poses, _ = found.places(np.arange(5))
    np.testing.assert_allclose(poses, found.features[found.waypoints.rows[:5]], atol=1e-6)


def test_rows_are_read_as_they_were_written():
    rows = np.random.default_rng(0).normal(size=(4, 25)).astype(np.float32)
    assert np.array_equal(PseudoActions.of_rows(rows).rows(), rows)
    rows[:, 6:15] = 0.0
    without = PseudoActions.of_rows(rows)
    assert without.poses is None and np.array_equal(without.rows(), rows)


def test_a_model_that_learnt_no_poses_tells_none(folder: Path, tmp_path: Path):
    words = ("--space", folder / "space", "--preset", "tiny", "--steps", "2")
    out = ("--set", "poses=false", "--out", tmp_path / "idm")
    assert run(fit_idm_command, folder / "data", *words, *out) == 0
    video = record_squares(tmp_path / "video", 2, video=True)
    assert run(label_actions_command, tmp_path / "idm", video) == 0
    space = open_space(folder / "space")
    one = open_demonstrations(video, Wanted(("front",), 32, 0.05, 3, space=space, pseudo=""))
    assert one.actions is not None and not one.has_state and one.waypoints is None


def test_the_model_says_of_which_episodes_it_learnt(folder: Path):
    known = open_checkpoint(folder / "idm").stats["labelled"]
    data = Dataset.open(folder / "data")
    assert known[data.content_hash].tolist() == evenly_spread(EPISODES, LABELLED).tolist()


def test_what_lies_beside_the_data_is_no_part_of_it(folder: Path, tmp_path: Path):
    fresh = record_squares(tmp_path / "fresh", EPISODES, pinhole=PINHOLE)
    assert Dataset.open(fresh).content_hash == Dataset.open(folder / "data").content_hash


def test_a_window_tells_of_every_row_but_the_last(folder: Path):
    one, model = seen(folder), open_idm(folder / "idm").model
    told = read_episode(model, one, 1)
    steps, poses = told.actions, told.poses
    assert poses is not None and len(steps) == len(poses) == one.caches[0].episodes[1].length
    assert np.array_equal(steps[-1], steps[-2]) and not np.array_equal(steps[-2], steps[-3])
    assert not np.array_equal(poses[-1], poses[-2])
    few = read_episode(model, one, 1, batch_size=3)
    assert np.allclose(few.rows(), told.rows(), atol=1e-5)


def test_a_policy_learns_them_and_acts(folder: Path, tmp_path: Path):
    words = (folder / "data", "--space", folder / "space", "--preset", "tiny", "--steps", "3")
    assert run(fit_actions_command, *words, "--pseudo", "--out", tmp_path / "policy") == 0
    assert open_policy(tmp_path / "policy").spec.delta_axes == "base"


def test_a_policy_learns_places_of_video(folder: Path, tmp_path: Path):
    words = (folder / "data", "--space", folder / "space", "--preset", "tiny", "--steps", "3")
    words = (*words, "--video", folder / "video", "--places-of-video", "--set", "batch_size=8")
    assert run(fit_actions_command, *words, "--out", tmp_path / "policy") == 0
    opened = open_policy(tmp_path / "policy")
    assert opened.policy.config.pinhole == PINHOLE and not opened.policy.config.motion_tokens
    assert "policy of data, places of video, " in open_checkpoint(tmp_path / "policy").origin.recipe


def test_places_of_video_need_video_and_the_same_calibration(folder: Path, tmp_path: Path):
    words = ("--space", folder / "space", "--preset", "tiny", "--out", tmp_path / "policy")
    with pytest.raises(UserError, match="no video"):
        run(fit_actions_command, folder / "data", *words, "--places-of-video")
    bare = record_squares(tmp_path / "bare", 2)
    words = (*words, "--video", folder / "video", "--places-of-video")
    with pytest.raises(UserError, match="same calibration of 'front'"):
        run(fit_actions_command, bare, *words)


def test_actions_of_an_earlier_layout_are_refused(folder: Path, tmp_path: Path):
    data = Dataset.open(record_squares(tmp_path / "data", 2))
    space = open_space(folder / "space")
    old = LatentSpec(f"actions_{space.latent.space_hash}", "motion", (1, 22), gap_s=0.05)
    origin = LatentOrigin(old, "observation.images.front", data.content_hash)
    writer = LatentsWriter(data, origin, PSEUDO_ACTIONS)
    for piece in writer.missing():
        count = piece.stop - piece.start
        values = np.zeros((count, 1, 22), np.float32)
        writer.write(piece, Rows(values, None, np.ones(count, bool)))
    writer.finish()
    with pytest.raises(UserError, match=r"actions_poses_.* which lam label-actions writes"):
        open_demonstrations(data.path, Wanted(("front",), 32, 0.05, 3, space=space, pseudo=""))


def test_actions_of_other_steps_or_hands_are_refused(folder: Path, tmp_path: Path):
    with pytest.raises(UserError, match=r"steps of 0\.05 s"):
        seen(folder, "", dt_s=0.1)
    other = open_space(gripper_space(tmp_path / "other", seed=1))
    wanted = Wanted(("front",), 32, 0.05, 3, space=other, pseudo="")
    with pytest.raises(UserError, match=other.latent.space_hash):
        open_demonstrations(folder / "data", wanted)


def test_without_them_the_command_that_writes_them_is_named(tmp_path: Path):
    data = record_squares(tmp_path / "data", 2)
    wanted = Wanted(("front",), 32, 0.05, 3, open_space(gripper_space(tmp_path / "s")), pseudo="")
    with pytest.raises(UserError, match="lam label-actions"):
        open_demonstrations(data, wanted)


def test_episodes_shorter_than_the_gap_are_refused(folder: Path, tmp_path: Path):
    words = ("--space", folder / "space", "--preset", "tiny", "--set", "gap_steps=40")
    with pytest.raises(UserError, match="longer than 40 steps"):
        run(fit_idm_command, folder / "data", "--out", tmp_path / "idm", *words)
