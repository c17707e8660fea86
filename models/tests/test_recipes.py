"""Recipes: each ends in a policy that acts, is made of what its name says, and is made once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from moving_squares import record_squares
from table_episodes import gripper_space

from lam_models.checkpoint import open_checkpoint
from lam_models.command import UserError
from lam_models.policy.opening import open_policy
from lam_models.recipes import PRETRAINED, RECIPES, Steps, Work, find, inverse_dynamics
from lam_models.stages.imagine import imagine
from lam_models.types import Frame, Observation

EPISODES, LABELLED = 6, 2


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    folder = tmp_path_factory.mktemp("recipes")
    return Work(
        data=record_squares(folder / "data", EPISODES),
        folder=folder / "made",
        episodes=LABELLED,
        preset="tiny",
        steps=Steps(model=2, latent=2, inverse=2, actions=2),
        space=str(gripper_space(folder / "space")),
        model={"gap_s": 0.2},
    )


def observation() -> Observation:
    pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    frames = {name: Frame(pixels, 5) for name in ("front", "wrist")}
    return Observation(5, frames, {"ee": np.array([0.4, 0.0, 0.2, np.pi, 0.0, 0.0])}, "follow")


def facts(policy: Path) -> str:
    return open_checkpoint(policy).origin.recipe


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_gives_a_policy_that_acts(work: Work, name: str):
    opened = open_policy(find(name)(work))
    chunk = opened.policy.act(observation())
    assert len(chunk.delta_ee) == len(chunk.hand) == opened.spec.chunk_steps
    assert np.isfinite(chunk.delta_ee).all()
    assert np.allclose(np.linalg.norm(chunk.hand, axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_done_is_not_done_again(work: Work, name: str):
    path = find(name)(work)
    before = {file: file.stat().st_mtime_ns for file in work.folder.rglob("*.safetensors")}
    assert find(name)(work) == path
    assert {f: f.stat().st_mtime_ns for f in work.folder.rglob("*.safetensors")} == before


def test_few_labels_are_few_and_all_are_all(work: Work):
    for name in ("scratch", "lapa", "openvla_bins"):
        assert f"{LABELLED} episodes each" in facts(find(name)(work))
    for name in ("action_vla", "vpt"):
        assert "all episodes each" in facts(find(name)(work))
    assert f"{LABELLED} episodes" in facts(inverse_dynamics(work))


def test_pretrained_policies_begin_with_what_video_taught(work: Work):
    fewest = replace(work, folder=work.folder / "no_grounding", steps=Steps(2, 2, 2, 1))
    for name in set(PRETRAINED) - {"unipi"}:
        grounded = open_checkpoint(find(name)(fewest)).tensors
        latent = open_checkpoint(fewest.shared / PRETRAINED[name] / "latent").tensors
        key = "backbone.queries"
        scratch = open_checkpoint(find("scratch")(fewest)).tensors
        near = np.abs(grounded[key] - latent[key]).mean()
        assert near < 0.02
        if scratch[key].shape == latent[key].shape:
            assert near < np.abs(scratch[key] - latent[key]).mean()


def same(first: Path, second: Path) -> bool:
    one, other = open_checkpoint(first).tensors, open_checkpoint(second).tensors
    return all(np.array_equal(value, other[name]) for name, value in one.items())


def test_vpt_learns_what_was_read_and_with_all_labels_is_the_upper_bound(work: Work):
    assert not same(find("vpt")(work), find("action_vla")(work))
    known = replace(work, episodes=0, folder=work.folder / "all_known")
    assert same(find("vpt")(known), find("action_vla")(known))
    assert same(find("scratch")(known), find("action_vla")(known))


def test_bins_are_bins(work: Work):
    assert open_checkpoint(find("openvla_bins")(work)).config["read_out"] == "bins"
    assert open_checkpoint(find("scratch")(work)).config["read_out"] == "regression"


def test_another_number_of_labels_shares_what_video_taught(work: Work):
    find("lapa")(work)
    before = set((work.shared / "lapa").rglob("*"))
    find("lapa")(replace(work, episodes=3))
    assert set((work.shared / "lapa").rglob("*")) == before


def test_a_policy_of_imagined_images_needs_parts_that_fit(work: Work, tmp_path: Path):
    find("unipi")(work)
    igor, idm = work.shared / "igor", inverse_dynamics(work)
    with pytest.raises(UserError, match="only one camera is imagined"):
        imagine(igor / "latent", igor / "model", idm, tmp_path / "out")
    with pytest.raises(UserError, match="another model"):
        find("lapa")(work)
        latent = work.shared / "lapa" / "latent"
        imagine(latent, igor / "model", idm, tmp_path / "out")
    with pytest.raises(UserError, match="not 'inverse'"):
        imagine(igor / "latent", igor / "model", igor / "latent", tmp_path / "out")


@pytest.mark.parametrize("name", ("scratch", "cloner", "vpt"))
def test_a_policy_is_of_the_rate_of_the_robot(work: Work, tmp_path: Path, name: str):
    rate = {"dt_s": 0.1}
    policy = find(name)(replace(work, folder=tmp_path, policy=rate, inverse=rate))
    assert open_policy(policy).spec.rate_hz == pytest.approx(10.0)


def test_an_unknown_recipe_is_told_what_there_is():
    with pytest.raises(UserError, match="scratch"):
        find("scrach")


def test_the_episodes_that_were_labelled_are_those_that_were_learnt(work: Work):
    stats = json.loads((inverse_dynamics(work) / "stats.json").read_text())
    (learnt,) = stats["labelled"].values()
    assert learnt == [0, EPISODES - 1]
