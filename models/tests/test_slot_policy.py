"""Laws of the policy's network: what it reads, what it learns and what it answers."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from lam_models.checkpoint import CameraSpec
from lam_models.command import UserError
from lam_models.geometry import so3_exp
from lam_models.policy.backbones import Backbone
from lam_models.policy.bins import Bins
from lam_models.policy.inputs import (
    HELD_STEPS,
    Examples,
    Inputs,
    observed,
    pose_features,
    word_rows,
)
from lam_models.policy.read_out_kinds import READ_OUTS
from lam_models.policy.slot_config import Config
from lam_models.policy.slot_policy import SlotPolicy
from lam_models.policy.views import shifted, strayed, tinted, varied
from lam_models.policy.ways import Sights
from lam_models.sense.pinhole import Pinhole
from lam_models.types import Frame, Observation

ROWS = 4


def config(**changes: object) -> Config:
    return replace(Config.tiny(), **{"motion_tokens": 2, "motion_codes": 8, **changes})


def examples(c: Config, seed: int = 0) -> Examples:
    random = torch.Generator().manual_seed(seed)
    shape = (ROWS, len(c.cameras), c.image_size, c.image_size, 3)
    chunk = torch.randn(ROWS, c.chunk_steps, 6 + c.latent_dim, generator=random)
    chunk[..., 6:] = torch.nn.functional.normalize(chunk[..., 6:], dim=-1)
    return Examples(
        pixels=torch.randint(0, 256, shape, generator=random, dtype=torch.uint8),
        state=torch.randn(ROWS, 9, generator=random),
        words=torch.from_numpy(word_rows(["push left", "push right", "lift it", "push it"])),
        delay=torch.zeros(ROWS),
        held=torch.randn(ROWS, len(HELD_STEPS) * c.latent_dim, generator=random),
        chunk=chunk,
        codes=torch.randint(0, 8, (ROWS, 2), generator=random),
    )


def made(c: Config, seed: int = 0) -> SlotPolicy:
    torch.manual_seed(seed)
    return SlotPolicy(c)


PINHOLE = Pinhole(3.0, (0.5, 0.0, 1.0), (math.pi / math.sqrt(2), -math.pi / math.sqrt(2), 0.0))


def with_places(batch: Examples) -> Examples:
    """With places on the table, all but one row's to be seen."""
    places = torch.randn(ROWS, 2, 9, generator=torch.Generator().manual_seed(1))
    known = torch.ones(ROWS, 2, dtype=torch.bool)
    known[0] = False  # An odd number of errors' signs does not add up to nothing.
    return replace(batch, places=places, places_known=known)


@pytest.mark.parametrize("pinhole", [None, PINHOLE], ids=["whole view", "places"])
@pytest.mark.parametrize("read_out", READ_OUTS)
def test_every_parameter_learns(read_out: str, pinhole: Pinhole | None):
    c = config(read_out=read_out, pinhole=pinhole)
    policy = made(c)
    # A new diffusion read-out is the identity in places; a step later it is not.
    optimiser = torch.optim.Adam(policy.parameters(), 1e-2)
    for _ in range(3):
        optimiser.zero_grad()
        policy.loss(with_places(examples(c)))[0].backward()
        optimiser.step()
    silent = [
        name
        for name, p in policy.named_parameters()
        if p.grad is None or not bool(p.grad.abs().sum() > 0)
    ]
    # The delay of these rows is zero, which its weight cannot be learnt from.
    assert [name for name in silent if name != "backbone.delay.weight"] == []


@pytest.mark.parametrize("read_out", READ_OUTS)
def test_read_outs_are_interchangeable_and_hands_stay_on_the_sphere(read_out: str):
    c = config(read_out=read_out)
    policy = made(c).eval()
    chunk, codes = policy.answer(examples(c))
    assert chunk.shape == (ROWS, c.chunk_steps, 6 + c.latent_dim)
    assert torch.allclose(chunk[..., 6:].norm(dim=-1), torch.ones(ROWS, c.chunk_steps), atol=1e-5)
    assert codes is not None and codes.shape == (ROWS, 2)


def test_bins_read_back_what_fell_into_them():
    bins = Bins(Bins.Config(32, chunk_steps=8, width=32, depth=1, heads=2, bins=32))
    rng = np.random.default_rng(0)
    actions = rng.normal(size=(4000, 22)).astype(np.float32)
    actions[:, 3] = 0.0
    actions[:, 6:] /= np.linalg.norm(actions[:, 6:], axis=1, keepdims=True)
    bins.units.standardise(*(torch.from_numpy(f(actions[:, :6], 0)) for f in (np.mean, np.std)))
    bins.learn_bins(actions)
    numbers = bins.units.enter(torch.from_numpy(actions)[None])[0]
    index = bins._index(numbers)
    counts = torch.bincount(index[:, 0], minlength=32)
    assert int(counts.min()) >= 4000 // 32 - 2
    found = torch.gather(bins.centres.expand(4000, -1, -1), -1, index[..., None])[..., 0]
    assert float((found - numbers)[:, 0].abs().mean()) < 0.1
    assert float(found[:, 3].abs().max()) < 1e-6


def test_one_batch_is_learnt_by_heart():
    c = config()
    policy, batch = made(c), examples(c)
    optimiser = torch.optim.Adam(policy.parameters(), 3e-3)
    first = policy.loss(batch)[0].item()
    for _ in range(100):
        optimiser.zero_grad()
        policy.loss(batch)[0].backward()
        optimiser.step()
    loss, logged = policy.loss(batch)
    assert loss.item() < 0.3 * first
    assert float(logged["codes_right"]) == 1.0


def test_rows_without_labels_cost_nothing_and_change_nothing():
    c = config()
    policy, batch = made(c).eval(), examples(c)
    assert batch.chunk is not None and batch.codes is not None
    both, _ = policy.loss(replace(batch, chunk=batch.chunk[:2], codes=batch.codes[2:]))
    head = replace(
        batch, chunk=batch.chunk[:2], codes=None, **{n: getattr(batch, n)[:2] for n in INPUTS}
    )
    tail = replace(
        batch, chunk=None, codes=batch.codes[2:], **{n: getattr(batch, n)[2:] for n in INPUTS}
    )
    alone = policy.loss(head)[0] + c.motion_weight * policy.loss(tail)[0]
    assert torch.allclose(both, alone, atol=1e-5)


INPUTS = ("pixels", "state", "words", "delay", "held")


def placed(seed: int = 0) -> tuple[SlotPolicy, Examples]:
    """A policy that votes for places, and a batch of labelled rows whose places are known."""
    c = config(pinhole=PINHOLE)
    random = torch.Generator().manual_seed(seed)
    places = 0.3 * torch.randn(ROWS, 2, 9, generator=random)
    known = torch.ones(ROWS, 2, dtype=torch.bool)
    return made(c), replace(examples(c), codes=None, places=places, places_known=known)


def part(batch: Examples, rows: slice) -> Examples:
    names = [*INPUTS, "chunk", "places", "places_known"]
    return replace(batch, **{name: getattr(batch, name)[rows] for name in names})


def places_gradient(policy: SlotPolicy, batch: Examples) -> torch.Tensor:
    policy.zero_grad()
    policy.loss(batch)[0].backward()
    return torch.cat([p.grad.flatten() for p in policy.places.parameters() if p.grad is not None])


def test_rows_that_show_places_are_voted_on_and_teach_nothing_else():
    policy, batch = placed()
    policy.eval()
    head, tail = part(batch, slice(0, 2)), part(batch, slice(2, 4))
    showing = replace(head, showing=replace(tail, chunk=None))
    assert torch.equal(places_gradient(policy, showing), places_gradient(policy, tail))
    assert not torch.equal(places_gradient(policy, showing), places_gradient(policy, head))
    logged, alone = policy.loss(showing)[1], policy.loss(head)[1]
    assert torch.equal(logged["action"], alone["action"])


def test_places_that_cannot_be_seen_are_not_learnt():
    policy, batch = placed()
    policy.eval()
    assert batch.places_known is not None
    known = batch.places_known.clone()
    known[2:] = False
    found = places_gradient(policy, replace(batch, places_known=known))
    assert torch.allclose(found, places_gradient(policy, part(batch, slice(0, 2))), atol=1e-5)


def test_instruction_pixels_state_and_delay_all_matter():
    c = config()
    policy, batch = made(c).eval(), examples(c)
    answer = policy.answer(batch)[0]
    others = {
        "words": torch.from_numpy(word_rows(["open the drawer"] * ROWS)),
        "pixels": 255 - batch.pixels,
        "state": batch.state + 1.0,
        "delay": batch.delay + 3.0,
    }
    for name, value in others.items():
        changed = policy.answer(replace(batch, **{name: value}))[0]
        assert (changed - answer).abs().max() > 1e-5, name


def test_padding_of_an_instruction_does_not_matter():
    rows = word_rows(["push left", "Push, LEFT!", "left push", ""])
    assert (rows[0] == rows[1]).all() and (rows[0] != rows[2]).any()
    assert (rows[3] == 0).all()
    assert len({tuple(row) for row in word_rows(["a b c d e f g h"])[0, :8]}) == 8


def test_the_backbone_is_one():
    assert isinstance(made(config()).backbone, Backbone)


def test_pose_features_are_the_columns_of_the_rotation_and_have_no_jump():
    rng = np.random.default_rng(0)
    ee = np.concatenate([rng.normal(size=(20, 3)), rng.normal(size=(20, 3)) * 2], axis=1)
    ee[0, 3:] = 0.0
    for row, found in zip(ee, pose_features(ee), strict=True):
        rotation = so3_exp(row[3:])
        expected = np.concatenate([row[:3], rotation[:, 0], rotation[:, 1]])
        assert np.allclose(found, expected, atol=1e-6)
    near = pose_features(np.array([[0, 0, 0, np.pi - 1e-4, 0, 0], [0, 0, 0, 1e-4 - np.pi, 0, 0]]))
    assert np.abs(near[0] - near[1]).max() < 1e-3


def test_views_leave_borders_and_nothing_changes_at_zero():
    batch = examples(config())
    same = varied(batch, 0.0, 0.0, 0.0)
    assert torch.equal(same.pixels, batch.pixels) and torch.equal(same.state, batch.state)
    torch.manual_seed(0)
    moved = shifted(batch.pixels, 2)
    assert moved.shape == batch.pixels.shape and not torch.equal(moved, batch.pixels)
    one = torch.full((1, 2, 8, 8, 3), 7, dtype=torch.uint8)
    assert torch.equal(shifted(one, 3), one)
    assert len(tinted(one, 0.2).unique()) == 1


def test_a_hand_that_strayed_is_led_back_to_its_way():
    batch = examples(config())
    torch.manual_seed(0)
    astray = strayed(batch, 0.01)
    off = astray.state - batch.state
    assert 0.005 < off[:, :2].std() < 0.02 and not off[:, 2:].any()
    way, before = astray.chunk.cumsum(1), batch.chunk.cumsum(1)
    beside = off[: len(way), None, :2] + way[..., :2] - before[..., :2]
    assert beside[:, 0].abs().max() > 0.005
    assert torch.allclose(beside[:, 3:], torch.zeros(()), atol=1e-5)
    assert torch.equal(astray.chunk[..., 2:], batch.chunk[..., 2:])


def test_an_observation_lacking_a_stream_is_refused_by_name():
    cameras = (CameraSpec("front", 32, 32),)
    frame = Frame(np.zeros((48, 64, 3), np.uint8), 0)
    with pytest.raises(UserError, match="front"):
        observed(Observation(0, {}, {"ee": np.zeros(6)}), cameras, 0, "cpu")
    with pytest.raises(UserError, match="ee"):
        observed(Observation(0, {"front": frame}, {}), cameras, 0, "cpu")
    with pytest.raises(UserError, match="3 numbers"):
        observed(Observation(0, {"front": frame}, {"ee": np.zeros(3)}), cameras, 0, "cpu")


def test_a_place_that_the_hand_hides_is_remembered_until_other_words():
    c = config(pinhole=PINHOLE)
    policy, batch = made(c).eval(), examples(c)
    one = Inputs(**{name: value[:1] for name, value in batch.tensors().items()})
    seen = policy._look(one, 0)
    there = replace(one, pixels=255 - one.pixels, state=seen[:, 0].clone())
    assert (policy._look(there, 1)[:, 0] == seen[:, 0]).all()
    hidden = replace(there, words=batch.words[1:2])
    assert (policy._look(hidden, 2)[:, 0] != seen[:, 0]).any()


def views(sights, spots, place=1, every_ns=50_000_000, words=0, since_ns=0):
    """What is told of a place, found one after the other at these x."""
    out = []
    for number, x in enumerate(spots):
        found = torch.zeros(1, 2, 9)
        found[0, place, 0] = x
        far = torch.full((1, 3), 9.0)
        poses = sights.seen(found, torch.full((1, 4), words), far, since_ns + number * every_ns)
        out.append(round(poses[0, place, 0].item(), 3))
    return out


@pytest.mark.parametrize("place", (0, 1))
def test_of_a_place_a_few_views_that_are_off_do_not_count(place: int):
    assert views(Sights(), [0.1, 0.1, 0.1, 0.3, 0.3], place) == [0.1] * 5


def test_a_first_place_that_moves_is_followed_sooner_than_a_last_one():
    moved_after_two_seconds = [0.1] * 40 + [0.3] * 15
    assert views(Sights(), moved_after_two_seconds, 0)[-1] == 0.3
    assert views(Sights(), moved_after_two_seconds, 1)[-1] == 0.1


def test_views_of_another_instruction_or_from_before_a_pause_are_forgotten():
    sights = Sights()
    assert views(sights, [0.1] * 3) == [0.1] * 3
    assert views(sights, [0.3], words=1, since_ns=150_000_000) == [0.3]
    assert views(sights, [0.2], words=1, since_ns=900_000_000) == [0.2]
    assert views(sights, [0.4], words=1, since_ns=0) == [0.4]


def test_a_calibrated_camera_is_not_shifted_and_the_others_are():
    batch = examples(config())
    torch.manual_seed(0)
    moved = varied(batch, 0.2, 0.0, 0.0, still=1)
    assert (moved.pixels[:, 0] == batch.pixels[:, 0]).all()
    assert (moved.pixels[:, 1] != batch.pixels[:, 1]).any()


@pytest.mark.parametrize("wrong", [(0.2, -0.4, 0.7), (0.7, -0.4, 0.2, 0.4), (0.2, 0.4, 0.7, 0.4)])
def test_a_reach_that_is_none_is_refused(wrong):
    with pytest.raises(UserError, match=r"'reach_m' is .* least x and y, then greatest"):
        Config(reach_m=wrong)
    assert Config(reach_m=(0.2, -0.4, 0.7, 0.4)).reach_m and not Config().reach_m
