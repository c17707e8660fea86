"""`lam finetune`: what is kept, what is learnt from, and what is said of it."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import vlms
from table_episodes import FRAMES, INSTRUCTIONS, gripper_space, record_episodes

from lam_models.checkpoint import Checkpoint, open_checkpoint, write
from lam_models.command import UserError
from lam_models.hands.space import open_space
from lam_models.policy.opening import open_policy
from lam_models.policy.slot_policy import SlotPolicy
from lam_models.policy.vlm_choice import Vlm
from lam_models.sense.pinhole import Pinhole
from lam_models.stages import finetune as stage
from lam_models.stages import finetune_command, fit_actions_command
from lam_models.stages.demonstrations import Wanted, open_demonstrations
from lam_models.stages.finetune_data import Weighted, open_lessons, took_over
from lam_models.stages.finetune_measures import measure
from lam_models.stages.finetune_parts import choose_weights, merge_lora

TINY = ("--preset", "tiny", "--steps", "4", "--validation", "0.25")
SHORT = ("--steps", "3", "--batch-size", "8", "--validation", "0.25")
TELEOP, POLICY = 1, 2


def run(command: Any, *words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture(scope="module")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_episodes(tmp_path_factory.mktemp("episodes") / "data")


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of each episode is a policy's, then a person takes over; the last is a person's."""
    half = np.repeat([POLICY, TELEOP], FRAMES // 2)
    source = np.stack([*[half] * (len(INSTRUCTIONS) - 1), np.full(FRAMES, TELEOP)])
    place = tmp_path_factory.mktemp("new") / "data"
    return record_episodes(place, seed=1, source=source)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gripper_space(tmp_path_factory.mktemp("space") / "space")


@pytest.fixture(scope="module")
def policy(episodes: Path, space: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("policy") / "policy"
    assert run(fit_actions_command, episodes, "--space", space, "--out", out, *TINY) == 0
    return out


@pytest.fixture(scope="module")
def wanted(space: Path) -> Wanted:
    return Wanted(("front", "wrist"), 32, 0.05, chunk_steps=8, space=open_space(space))


def finetuned(policy: Path, data: Path, space: Path, out: Path, *words: str | Path) -> Checkpoint:
    given = ("--policy", policy, "--data", data, "--space", space, "--out", out, *SHORT, *words)
    assert run(finetune_command, *given) == 0
    return open_checkpoint(out)


def changed(before: Checkpoint, after: Checkpoint) -> set[str]:
    """Names of the tensors that are not what they were, to the bit."""
    assert before.tensors.keys() == after.tensors.keys()
    return {k for k, v in before.tensors.items() if not np.array_equal(v, after.tensors[k])}


def test_what_it_was_taught_stays_the_start(policy: Path, new: Path, space: Path, tmp_path: Path):
    """At a rate of almost nothing the same policy comes out, read-outs and statistics too."""
    before = open_checkpoint(policy)
    after = finetuned(policy, new, space, tmp_path / "out", "--lr", "1e-12")
    for name, value in before.tensors.items():
        assert np.allclose(value, after.tensors[name], atol=1e-7), name
    assert after.spec == before.spec
    assert open_policy(tmp_path / "out").spec == before.spec


def test_statistics_stay_where_everything_is_trained(
    policy: Path, new: Path, space: Path, tmp_path: Path
):
    before = open_checkpoint(policy)
    parameters = {name for name, _ in SlotPolicy.open(before, "cpu").named_parameters()}
    moved = changed(before, finetuned(policy, new, space, tmp_path / "out", "--lr", "0.01"))
    assert moved <= parameters
    assert {"backbone", "read_out"} <= {name.split(".")[0] for name in moved}


def test_heads_alone_leave_the_rest_to_the_bit(
    policy: Path, new: Path, space: Path, tmp_path: Path
):
    before = open_checkpoint(policy)
    words = ("--train", "heads", "--lr", "0.01")
    after = finetuned(policy, new, space, tmp_path / "out", *words)
    moved = changed(before, after)
    table = "backbone.words.table.weight"
    assert {name for name in moved if name.startswith("backbone.")} == {table}
    assert any(name.startswith("read_out.") for name in moved)
    rows = (before.tensors[table] != after.tensors[table]).any(1)
    spoken = {word for text in INSTRUCTIONS for word in text.split()}
    assert 0 < rows.sum() <= 2 * len(spoken), "words that nobody spoke are what they were"


def test_places_are_learnt_on_where_the_camera_stands_as_it_did(space: Path, tmp_path: Path):
    here = Pinhole(3.0, (1.1, -0.2, 0.6), (-1.8, -1.3, 0.7))
    data = record_episodes(tmp_path / "data", pinhole=here)
    words = (data, "--space", space, "--out", tmp_path / "policy", *TINY)
    assert run(fit_actions_command, *words) == 0
    before = open_checkpoint(tmp_path / "policy")
    after = finetuned(tmp_path / "policy", data, space, tmp_path / "out", "--train", "heads")
    assert {"places", "ways"} <= {name.split(".")[0] for name in changed(before, after)}
    reach_m = before.config["reach_m"]
    assert reach_m[2] - reach_m[0] > 0.1, "the margin around where the episodes go"
    assert after.config["reach_m"] == reach_m, "these go no farther"
    after = finetuned(tmp_path / "policy", data, space, tmp_path / "words", "--train", "words")
    moved = changed(before, after)
    assert all(name.startswith(("places.", "backbone.words.")) for name in moved)
    assert {"places", "backbone"} <= {name.split(".")[0] for name in moved}
    told = before.config | {"reach_m": [reach_m[0] + 0.04, reach_m[1], 9.0, reach_m[3]]}
    write(tmp_path / "another", replace(before, config=told))
    after = finetuned(tmp_path / "another", data, space, tmp_path / "wide", "--train", "heads")
    assert after.config["reach_m"] == [*reach_m[:2], 9.0, reach_m[3]], "where either goes"
    moved = replace(here, position_m=(1.1, -0.1, 0.6))
    other = record_episodes(tmp_path / "other", pinhole=moved)
    with pytest.raises(UserError, match=r"camera 'front' is calibrated otherwise.*-0\.1"):
        finetuned(tmp_path / "policy", other, space, tmp_path / "none")


def test_words_alone_need_a_policy_that_finds_places(
    policy: Path, new: Path, space: Path, tmp_path: Path
):
    with pytest.raises(UserError, match="finds no places"):
        finetuned(policy, new, space, tmp_path / "out", "--train", "words")


def test_a_person_who_takes_over_is_told_from_one_who_demonstrates(new: Path, wanted: Wanted):
    one = open_demonstrations(new, wanted)
    over = took_over(new, one).reshape(len(INSTRUCTIONS), FRAMES)
    assert not over[:, : FRAMES // 2].any() and not over[-1].any()
    assert over[:-1, FRAMES // 2 :].all()


def test_without_a_column_of_who_commanded_nobody_took_over(episodes: Path, wanted: Wanted):
    assert not took_over(episodes, open_demonstrations(episodes, wanted)).any()


@pytest.mark.parametrize("weight", [0.5, 1.0, 2.5, 4.0])
def test_interventions_are_drawn_as_often_as_is_said(new: Path, wanted: Wanted, weight: float):
    one = open_demonstrations(new, wanted)
    rows, over = np.arange(len(one.episode_of)), took_over(new, one)
    drawn = Weighted([one], [rows], [np.where(over, weight, 1.0)])
    epochs, counts = 40, np.zeros(len(rows))
    for epoch in range(epochs):
        numbers = drawn.at(epoch, drawn.epoch, 3, 0, 1)
        each = np.bincount(numbers, minlength=len(rows))
        counts += each
        assert each.max() <= np.ceil(max(weight, 1.0)) + 1
    mean = counts / epochs
    assert mean[over].mean() == pytest.approx(weight * mean[~over].mean(), rel=0.02)
    assert np.abs(mean[over] - weight).max() < 0.35


def test_draws_are_a_function_of_the_step(new: Path, wanted: Wanted):
    one = open_demonstrations(new, wanted)
    weights = np.linspace(0.2, 3.0, len(one.episode_of))
    first, second = (Weighted([one], [np.arange(len(weights))], [weights]) for _ in range(2))
    whole = first.at(5, 8, 0, 0, 1)
    assert np.array_equal(whole, second.at(5, 8, 0, 0, 1))
    assert np.array_equal(whole[1::2], second.at(5, 8, 0, 1, 2)), "shares of two processes"
    assert not np.array_equal(whole, second.at(6, 8, 0, 0, 1))


def test_earlier_episodes_have_their_share(episodes: Path, new: Path, wanted: Wanted):
    settings = {"intervention_weight": 2.0, "validation": 0.25, "seed": 0}
    lessons = open_lessons([new], [episodes], wanted, replay_share=0.4, **settings)
    drawn = lessons.learnt
    numbers = np.concatenate([drawn.at(i, drawn.epoch, 0, 0, 1) for i in range(20)])
    earlier = (numbers >= lessons.new_frames).mean()
    assert earlier == pytest.approx(0.4, abs=0.03)
    assert lessons.held_earlier is not None and len(lessons.held_earlier) == FRAMES


def test_before_and_after_are_of_the_same_rows_that_nobody_learns_from(
    policy: Path, new: Path, space: Path, wanted: Wanted, tmp_path: Path
):
    metrics = finetuned(policy, new, space, tmp_path / "out", "--seed", "3").origin.metrics
    settings = {"replay_share": 0.5, "intervention_weight": 1.0, "validation": 0.25, "seed": 3}
    lessons = open_lessons([new], [], wanted, **settings)
    for when, folder in (("before", policy), ("after", tmp_path / "out")):
        found = measure(open_policy(folder).policy, lessons.held_new, 8, "cpu")
        told = {k: v for k, v in metrics.items() if k.startswith(f"{when}/new/")}
        assert told == pytest.approx({f"{when}/new/{k}": v for k, v in found.items()}, rel=1e-4)
    learnt = set(lessons.learnt._rows.tolist())
    assert learnt.isdisjoint(lessons.held_new._rows.tolist())


def test_more_of_the_same_brings_it_closer(policy: Path, episodes: Path, space: Path, tmp_path):
    words = ("--lr", "0.01", "--steps", "30", "--replay", episodes)
    metrics = finetuned(policy, episodes, space, tmp_path / "out", *words).origin.metrics
    for data in ("new", "earlier"):
        for part in ("translation/nmse", "hand/nmse", "translation/l1"):
            assert metrics[f"after/{data}/{part}"] < metrics[f"before/{data}/{part}"]


def test_interrupted_and_resumed_is_as_if_unbroken(
    policy: Path, new: Path, space: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = finetuned(policy, new, space, tmp_path / "whole")
    ordinary = stage.train

    def broken(model: Any, batch_at: Any, recipe: Any, *rest: Any, **more: Any) -> Any:
        def fails(step: int) -> Any:
            if step == 2:
                raise KeyboardInterrupt
            return batch_at(step)

        return ordinary(model, fails, replace(recipe, checkpoint_every=2), *rest, **more)

    monkeypatch.setattr(stage, "train", broken)
    with pytest.raises(KeyboardInterrupt):
        finetuned(policy, new, space, tmp_path / "out")
    monkeypatch.undo()
    with pytest.raises(UserError, match="--resume"):
        finetuned(policy, new, space, tmp_path / "out")
    with pytest.raises(UserError, match="another train"):
        finetuned(policy, new, space, tmp_path / "out", "--resume", "--train", "heads")
    assert not changed(whole, finetuned(policy, new, space, tmp_path / "out", "--resume"))


@pytest.mark.parametrize("rank", [0, 2])
def test_lora_ends_in_a_folder_of_the_same_weights(rank: int, tmp_path: Path, space: Path):
    source = vlms.folder("smolvlm", tmp_path / "vlm")
    config = replace(
        SlotPolicy.Config.tiny(),
        vlm=Vlm(str(source), prompt_tokens=12, lora_rank=rank),
        width=16,
        latent_dim=open_space(space).dim,
    )
    torch.manual_seed(0)
    policy = SlotPolicy(config)
    names = set(policy.state_dict())
    before = {k: v.clone() for k, v in policy.state_dict().items()}
    choose_weights(policy, "lora")
    trained = {name for name, p in policy.named_parameters() if p.requires_grad}
    model = {name for name in trained if name.startswith("backbone.model.")}
    assert model and all("lora_" in name for name in model)
    assert {"read_out", "backbone"} <= {name.split(".")[0] for name in trained}
    with torch.no_grad():
        for name in model:
            policy.get_parameter(name).add_(0.01)
    merge_lora(policy)
    after = policy.state_dict()
    assert set(after) == names
    assert any(not torch.equal(after[k], before[k]) for k in names if "_proj" in k)


def test_mistakes_are_named(policy: Path, new: Path, space: Path, tmp_path: Path):
    def refused(why: str, *words: str | Path, source: Path = policy) -> None:
        with pytest.raises(UserError, match=why):
            finetuned(source, new, space, tmp_path / "out", *words)

    refused("no model folder", source=tmp_path / "none")
    refused("no vision-language model for LoRA", "--train", "lora")
    refused("replay share 1", "--replay", new, "--replay-share", "1")
    refused("intervention weight -1", "--intervention-weight", "-1")
    refused("episodes that are not learnt from", "--validation", "0")
    refused("steps 0: must be above 0", "--steps", "0")
    refused("with --space", "--space", gripper_space(tmp_path / "other", seed=5))
    with pytest.raises(UserError, match="the policy itself"):
        finetuned(policy, new, space, policy)
