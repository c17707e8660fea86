"""From recorded episodes to a policy folder: what the commands write, and that use is training."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import PartialState
from table_episodes import FRAMES, gripper_space, record_episodes

from lam_models.checkpoint import Origin, open_checkpoint
from lam_models.command import UserError
from lam_models.data.lerobot_read import Dataset
from lam_models.hands.space import open_space
from lam_models.policy.committed import Committed
from lam_models.policy.opening import open_policy
from lam_models.sense.pinhole import Pinhole
from lam_models.stages import export_command, fit_actions_command, fit_policy_command
from lam_models.stages.demonstrations import Demonstrations, Wanted, open_demonstrations
from lam_models.stages.label import label
from lam_models.stages.opening import save_system
from lam_models.stages.policy_data import Drawn, PolicyData
from lam_models.stages.training.recipe import Recipe
from lam_models.systems import find
from lam_models.types import Frame, Observation

TINY = ("--preset", "tiny", "--steps", "4", "--validation", "0.25")


def run(command: Any, *words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_episodes(tmp_path_factory.mktemp("episodes") / "data")


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gripper_space(tmp_path_factory.mktemp("space") / "space")


@pytest.fixture(scope="module")
def policy(episodes: Path, space: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("policy") / "policy"
    words = (episodes, "--space", space, "--out", out, "--delay", "0.1", *TINY)
    assert run(fit_actions_command, *words) == 0
    return out


def demonstrations(episodes: Path, space: Path, dt_s: float = 0.05) -> Demonstrations:
    wanted = Wanted(("front", "wrist"), 32, dt_s, chunk_steps=6, space=open_space(space))
    return open_demonstrations(episodes, wanted)


def observation(episodes: Path, frame: int) -> Observation:
    """As a robot would see that frame of the first episode."""
    dataset = Dataset.open(episodes)
    frames = {
        name: Frame(dataset.frames(0, f"observation.images.{name}", frame, frame + 1)[0], 7)
        for name in ("front", "wrist")
    }
    state = dataset.column("observation.state")[frame, :6].astype(np.float64)
    return Observation(7, frames, {"ee": state}, dataset.episodes[0].tasks[0])


def test_a_chunk_is_what_follows_in_the_dataset(episodes: Path, space: Path):
    found = demonstrations(episodes, space)
    actions = Dataset.open(episodes).column("action")
    chunk = found.chunks(np.array([3]), 6, np.array([0]))[0]
    assert np.allclose(chunk[:, :6], actions[3:9, :6], atol=1e-6)
    coder = open_space(space).coder("parallel_gripper")
    assert np.allclose(chunk[:, 6:], coder.encode(actions[3:9, 6:]), atol=1e-6)
    assert found.hand == "parallel_gripper"


def test_a_late_chunk_begins_later_and_ends_with_its_episode(episodes: Path, space: Path):
    found = demonstrations(episodes, space)
    rows = np.array([3, 3, FRAMES - 2])
    prompt = found.chunks(rows, 6, np.array([0, 2, 0]))
    assert np.array_equal(prompt[1, :4], prompt[0, 2:])
    last = found.actions
    assert last is not None
    assert np.array_equal(prompt[2, :2], last[FRAMES - 2 : FRAMES])
    assert not prompt[2, 2:, :6].any()
    assert np.array_equal(prompt[2, 2:, 6:], last[[FRAMES - 1] * 4, 6:])


def test_slower_steps_are_composed_of_the_frames_between(episodes: Path, space: Path):
    fast, slow = demonstrations(episodes, space), demonstrations(episodes, space, dt_s=0.1)
    chunk = slow.chunks(np.array([2]), 3, np.array([0]))[0]
    assert fast.actions is not None
    assert np.allclose(chunk[:, :3], fast.actions[2:8, :3].reshape(3, 2, 3).sum(1), atol=1e-6)
    assert np.allclose(chunk[:, 6:], fast.actions[3:8:2, 6:], atol=1e-6)
    with pytest.raises(UserError, match="whole number"):
        demonstrations(episodes, space, dt_s=0.03)


def test_what_the_hand_was_told_is_of_the_same_episode(episodes: Path, space: Path):
    found = demonstrations(episodes, space)
    assert found.actions is not None
    hands, rows = found.actions[:, 6:], FRAMES + np.array([0, 3, 4])
    first, later, late = found.held(rows, (1, 4))
    none = np.zeros_like(hands[0])
    assert np.array_equal(first, np.concatenate([none, none]))
    assert np.array_equal(later, np.concatenate([hands[FRAMES + 2], none]))
    assert np.array_equal(late, np.concatenate([hands[FRAMES + 3], hands[FRAMES]]))


def test_what_the_hand_was_told_is_what_a_chunk_told_it(episodes: Path, space: Path):
    slow = demonstrations(episodes, space, dt_s=0.1)
    chunk = slow.chunks(np.array([FRAMES]), 2, np.array([0]))[0]
    told = slow.held(np.array([FRAMES + 4]), (2, 1))[0]
    assert np.array_equal(told, chunk[:, 6:].reshape(-1))


def test_a_hand_that_the_space_does_not_know_is_refused(episodes: Path, tmp_path: Path):
    space = open_space(gripper_space(tmp_path / "space"))
    with pytest.raises(UserError, match="four_finger"):
        open_demonstrations(episodes, Wanted(("front",), 32, 0.05, 6, space, "four_finger"))


def test_in_use_it_answers_as_in_training(policy: Path, episodes: Path, space: Path):
    opened = open_policy(policy)
    chunk = opened.policy.act(observation(episodes, 0))
    found = demonstrations(episodes, space)
    batch = Drawn([found], [np.arange(10)]).examples(np.array([0]))
    with torch.no_grad():
        expected = opened.policy.answer(batch)[0][0].numpy()
    assert np.array_equal(np.concatenate([chunk.delta_ee, chunk.hand], axis=1), expected)
    assert np.allclose(np.linalg.norm(chunk.hand, axis=1), 1.0, atol=1e-5)
    assert chunk.start_ns == 7 and chunk.hand_space == open_space(space).latent


def test_opened_twice_it_answers_the_same_to_the_bit(policy: Path, episodes: Path):
    first, second = (open_policy(policy).policy.act(observation(episodes, 2)) for _ in range(2))
    assert np.array_equal(first.delta_ee, second.delta_ee)
    assert np.array_equal(first.hand, second.hand)


def test_committed_steps_lead_the_answer(policy: Path, episodes: Path):
    opened = open_policy(policy)
    plan = opened.policy.act(observation(episodes, 0))
    seen = observation(episodes, 4)
    late = opened.policy.act(seen, Committed(plan, 2))
    assert np.array_equal(late.delta_ee[:2], plan.delta_ee[:2])
    assert np.array_equal(late.hand[:2], plan.hand[:2])
    assert len(late.delta_ee) == len(plan.delta_ee)


def test_video_first_then_a_few_episodes(episodes: Path, space: Path, tmp_path: Path):
    torch.manual_seed(0)
    lapa = find("lapa")
    model = lapa(lapa.Config.tiny()).eval()
    label(save_system(tmp_path / "lapa", model, "lapa", Origin("", "")), episodes, camera="front")
    latent = tmp_path / "latent"
    assert run(fit_policy_command, episodes, "--out", latent, *TINY) == 0
    with pytest.raises(UserError, match="one hand space"):
        open_policy(latent)
    grounded = tmp_path / "grounded"
    words = (episodes, "--space", space, "--after", latent, "--out", grounded, "--episodes", "2")
    assert run(fit_actions_command, *words, "--video", episodes, *TINY) == 0
    chunk = open_policy(grounded).policy.act(observation(episodes, 0))
    assert chunk.motion_codes is not None
    assert chunk.motion_codes.shape == (model.spec().shape[0],)


def test_rows_that_show_places_come_beside_the_labelled_ones(tmp_path: Path, space: Path):
    pinhole = Pinhole(3.0, (0.5, 0.0, 1.0), (2.2, -2.2, 0.0))
    path = record_episodes(tmp_path / "data", pinhole=pinhole)
    found = demonstrations(path, space)
    drawn = Drawn([found], [np.arange(len(found.lasts))])
    shown = drawn.showing_places()
    assert 0 < len(shown) < len(drawn)
    recipe = Recipe(steps=1, batch_size=8, learning_rate=1e-3)
    data = PolicyData(drawn, None, None, 4, 0, 0.3, showing=(shown,))
    batch = data.batch_at(0, recipe, PartialState())
    assert batch.showing is not None and len(batch.showing.pixels) == len(batch.pixels) == 8
    assert batch.showing.chunk is None and batch.showing.places_known is not None
    assert batch.showing.places_known.any(1).all()


def test_one_policy_learns_of_two_hands(episodes: Path, space: Path, tmp_path: Path):
    fingers = record_episodes(tmp_path / "fingers", hand="four_finger")
    words = (episodes, fingers, "--space", space, "--out", tmp_path / "both", *TINY)
    assert run(fit_actions_command, *words) == 0
    for data, hand in ((episodes, "parallel_gripper"), (fingers, "four_finger")):
        found = demonstrations(data, space)
        assert found.hand == hand and found.actions is not None
        assert np.allclose(np.linalg.norm(found.actions[:, 6:], axis=1), 1.0, atol=1e-5)
    assert open_policy(tmp_path / "both").spec.emits == (open_space(space).latent,)


def test_a_policy_says_what_it_sees_and_emits(policy: Path, space: Path):
    spec = open_checkpoint(policy).spec
    assert [camera.name for camera in spec.cameras] == ["front", "wrist"]
    assert spec.emits == (open_space(space).latent,)
    assert list(spec.state) == ["ee"] and spec.chunk_steps == 8 and spec.delta_axes == "base"


def test_exported_it_is_smaller_and_answers_alike(policy: Path, episodes: Path, tmp_path: Path):
    out = tmp_path / "small"
    assert run(export_command, policy, "--out", out) == 0
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (out, policy)]
    assert sizes[0] < 0.8 * sizes[1]
    small, whole = (open_policy(one).policy.act(observation(episodes, 5)) for one in (out, policy))
    assert np.allclose(small.delta_ee, whole.delta_ee, atol=1e-3)
    assert np.allclose(small.hand, whole.hand, atol=2e-2)
    again = tmp_path / "again"
    assert run(export_command, out, "--out", again) == 0
    assert (again / "model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()
    with pytest.raises(UserError, match="the policy itself"):
        run(export_command, policy, "--out", policy)


def test_mistakes_are_named(episodes: Path, space: Path, tmp_path: Path):
    out = tmp_path / "out"
    with pytest.raises(UserError, match="no latents"):
        run(fit_policy_command, record_episodes(tmp_path / "plain"), "--out", out, *TINY)
    with pytest.raises(UserError, match="widht"):
        words = (episodes, "--space", space, "--out", out, *TINY, "--set", "widht=3")
        run(fit_actions_command, *words)
    with pytest.raises(UserError, match="no policy folder"):
        run(fit_actions_command, episodes, "--after", tmp_path / "none", "--out", out, *TINY)
