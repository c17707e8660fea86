"""Laws of LAD: what its losses pull together, and that a trained space carries poses across."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from lam_models.command import UserError
from lam_models.hands.human import draw_subjects, mean_hand
from lam_models.hands.kinematics import open_kinematics
from lam_models.hands.pairs import (
    UNIT_M,
    PosePairs,
    join_people,
    load_pairs,
    make_pairs,
    save_pairs,
    tip_closeness,
)
from lam_models.hands.space import hand_modality, human_modality, open_space
from lam_models.hands.spec_file import read_hand, shipped_hands
from lam_models.hands.transfer import cross_errors_m, fingertips
from lam_models.stages.fit_hands import HandsSettings, fit_hands
from lam_models.stages.hand_space import Batches, Task, train_space
from lam_models.systems.lad import (
    RECIPES,
    Coding,
    Config,
    Lad,
    PoseBatch,
    annealed,
    contrast,
    human_error,
    pose_error,
)

HANDS = ("panda_gripper", "allegro", "inspire_rh56")
TINY = RECIPES["tiny"]


@pytest.fixture(scope="module")
def pairs() -> PosePairs:
    return make_pairs([read_hand(name) for name in HANDS], draw_subjects(4, 0), 40, seed=0)


def lad_of(names: tuple[str, ...], config: Config = TINY) -> Lad:
    modalities = [human_modality(), *(hand_modality(read_hand(name)) for name in names)]
    size = sum(len(modality.entries) for modality in modalities)
    return Lad(config, modalities, torch.zeros(size), torch.ones(size))


def batch_of(pairs: PosePairs) -> PoseBatch:
    names = ("human", *HANDS)
    vectors = np.concatenate([pairs.vectors[name] for name in names], axis=1)
    closeness = np.concatenate([pairs.closeness[name] for name in HANDS], axis=1)
    sources = np.tile((np.arange(len(names)) + 1) % len(names), (len(pairs), 1))
    return PoseBatch(*(torch.from_numpy(of) for of in (vectors, closeness, sources)))


@pytest.mark.parametrize("name", shipped_hands())
def test_closeness_is_the_error_of_the_fingertips_to_first_order(name: str):
    kinematics = open_kinematics(spec := read_hand(name))
    q = spec.clip(spec.sample(5, 0) * 0.9)
    rng = np.random.default_rng(0)
    away = 1e-5 * rng.standard_normal(q.shape) * (spec.upper - spec.lower)
    found = np.einsum("pi,pij,pj->p", away, tip_closeness(kinematics, q), away)
    tips, moved = kinematics.tips(q), kinematics.tips(q + away)
    least = ((moved - tips) ** 2).sum(-1).mean(-1) / UNIT_M**2
    assert (found >= 0.99 * least).all()
    # What is added, for pinches and for joints that move no tip, is of the same order.
    assert (found <= 40.0 * least + 0.1 * (away**2).sum(-1)).all()


def test_pairs_are_a_function_of_their_arguments_and_survive_a_file(
    pairs: PosePairs, tmp_path: Path
):
    again = make_pairs([read_hand(name) for name in HANDS], draw_subjects(4, 0), 40, seed=0)
    save_pairs(tmp_path / "pairs.npz", pairs)
    loaded = load_pairs(tmp_path / "pairs.npz")
    assert len(loaded) == 160
    for name in pairs.vectors:
        np.testing.assert_array_equal(again.vectors[name], pairs.vectors[name])
        np.testing.assert_array_equal(loaded.vectors[name], pairs.vectors[name])
    for name in HANDS:
        spec = read_hand(name)
        assert (pairs.vectors[name] >= spec.lower - 1e-6).all()
        assert (pairs.vectors[name] <= spec.upper + 1e-6).all()


def test_a_gripper_is_heard_only_where_its_opening_means_a_grasp(pairs: PosePairs, tmp_path: Path):
    modalities = [human_modality(), *(hand_modality(read_hand(name)) for name in HANDS)]
    task = Task([], pairs, pairs, TINY, tmp_path)
    batches = Batches(task, modalities)
    heard = []
    for step in range(20):
        rows, sources = batches.rows(step), batches.at(step).sources.numpy()
        assert (sources != np.arange(4)).all()
        gripper = sources == 1 + HANDS.index("panda_gripper")
        assert not gripper[~pairs.grasps[rows]].any()
        heard.append(gripper[pairs.grasps[rows]].mean())
    assert 0.1 < np.mean(heard) < 0.5


def test_joined_people_are_numbered_anew(pairs: PosePairs):
    joined = join_people([pairs, pairs])
    assert sorted(set(joined.subjects.tolist())) == list(range(8))
    assert len(joined) == 320


def test_a_person_of_another_size_has_the_same_vector():
    hand = mean_hand()
    bigger = dataclasses.replace(hand, roots_m=1.2 * hand.roots_m, segments_m=1.2 * hand.segments_m)
    one, other = (make_pairs([], [h], 10, seed=3).vectors["human"] for h in (hand, bigger))
    # Poses are sampled in true sizes: those of an open hand do not depend on them.
    assert one.shape == other.shape == (10, 60)
    assert abs(np.median(np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)) - 1) < 0.1


def test_contrast_is_least_where_moments_agree_across_hands():
    torch.manual_seed(0)
    points = torch.nn.functional.normalize(torch.randn(1, 32, 16), dim=-1)
    same, cold = points.expand(3, -1, -1), torch.tensor(0.1)
    mixed = torch.stack([points[0], points[0].roll(1, 0), points[0]])
    assert contrast(same, cold) < contrast(mixed, cold)
    # All in one place says nothing: chance.
    collapsed = torch.ones(3, 32, 16) / 4.0
    assert contrast(collapsed, cold) == pytest.approx(np.log(32), rel=1e-4)


def test_the_temperature_falls_by_equal_factors():
    steps = [annealed((0.5, 0.05), torch.tensor(passed)).item() for passed in (0.0, 0.5, 1.0, 2.0)]
    assert steps[0] == pytest.approx(0.5) and steps[2] == steps[3] == pytest.approx(0.05)
    assert steps[1] == pytest.approx(np.sqrt(0.5 * 0.05))


def test_the_right_poses_have_no_error(pairs: PosePairs):
    batch, lad = batch_of(pairs), lad_of(HANDS)
    assert human_error(batch.vectors[:, :60], batch.vectors[:, :60]) == 0.0

    class Perfect(Lad):
        def decode(self, latents: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return batch.vectors.split(lad.sizes, dim=1)

    perfect = Perfect(TINY, lad.modalities, lad.center, lad.scale)
    latents = perfect.encode(batch.vectors)
    assert pose_error(perfect, latents, batch) == 0.0
    assert pose_error(lad, latents, batch) > 0.0


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_parameter_learns_as_its_recipe_says(recipe: str, pairs: PosePairs):
    config = dataclasses.replace(RECIPES[recipe], encoder_width=16, decoder_width=16)
    lad = lad_of(HANDS, config)
    coding = Coding(lad).train()
    loss, _ = coding.loss(batch_of(pairs))
    loss.backward()
    assert torch.isfinite(loss)
    slow = config.encoder_share == 0.0
    for name, parameter in lad.named_parameters():
        learns = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        assert learns != (slow and name.startswith("encoders")), name
        assert coding.rate_share(f"lad.{name}") == (
            config.encoder_share if name.startswith("encoders") else 1.0
        )


def test_a_space_carries_poses_of_new_people_from_hand_to_hand(pairs: PosePairs, tmp_path: Path):
    specs = [read_hand(name) for name in HANDS]
    others = make_pairs(specs, draw_subjects(2, 9), 40, seed=9)
    config = dataclasses.replace(TINY, encoder_width=64, decoder_width=64, steps=600)
    fitted = train_space(Task(specs, pairs, others, config, tmp_path), "hand/test")
    kinematics = {spec.hand: open_kinematics(spec) for spec in specs}
    errors = cross_errors_m(fitted.space, others, kinematics)
    assert set(errors) == {(a, b) for a in ("human", *HANDS) for b in ("human", *HANDS)}
    for name in ("allegro", "inspire_rh56"):
        true = fingertips(kinematics[name], others.vectors[name])
        guess = np.linalg.norm(true - true.mean(0), axis=-1)
        # Better than the mean pose, which knows nothing of the source.
        assert np.median(errors["human", name]) < 0.6 * np.median(guess)
        assert np.median(errors["allegro", name]) < 0.6 * np.median(guess)


def test_hands_are_fitted_and_one_joins_from_the_command(tmp_path: Path):
    config = dataclasses.replace(TINY, align_steps=8, steps=8)
    base = HandsSettings(
        out=tmp_path / "space",
        hands=("panda_gripper", "allegro"),
        config=config,
        recipe="tiny",
        people=2,
        poses=40,
        held_out=1,
    )
    founding = fit_hands(base).space
    assert not (tmp_path / "space.training").exists()
    joining = dataclasses.replace(
        base, out=tmp_path / "more", hands=("ability",), space=tmp_path / "space"
    )
    fit_hands(joining)
    before, after = open_space(tmp_path / "space"), open_space(tmp_path / "more")
    assert after.latent == before.latent == founding.latent
    assert set(after.coders) == {"human", "panda_gripper", "allegro", "ability"}
    q = read_hand("allegro").sample(5, 0)
    np.testing.assert_array_equal(
        after.coder("allegro").encode(q), before.coder("allegro").encode(q)
    )
    with pytest.raises(UserError, match="knows a hand 'allegro' already"):
        fit_hands(dataclasses.replace(joining, out=tmp_path / "x", hands=("allegro",)))
    with pytest.raises(UserError, match="exists already"):
        fit_hands(base)
