"""Votes for places: what they mean, and that they are learnt from few pictures."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from lam_models.policy.inputs import word_rows
from lam_models.policy.places import Places, Votes
from lam_models.policy.views import moved
from lam_models.policy.ways import remembered, told
from lam_models.sense.pinhole import Pinhole

PINHOLE = Pinhole(3.0, (0.5, 0.0, 1.0), (math.pi / math.sqrt(2), -math.pi / math.sqrt(2), 0.0))
SIDE = 48


def scene(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A picture with a red and a blue square, and where they stand on the table [m]."""
    picture = np.full((SIDE, SIDE, 3), 0.6, np.float32)
    spots = []
    for colour in ((0.9, 0.1, 0.1), (0.1, 0.1, 0.9)):
        row, column = random.integers(4, SIDE - 4, 2)
        picture[row - 3 : row + 3, column - 3 : column + 3] = colour
        middle = np.array([column, row]) * 2.0 / SIDE - 1.0
        spots.append(PINHOLE.on_plane(middle, 0.02))
    return picture, np.array(spots)


def scenes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures, words and poses: to the colour that is named first, then to the other."""
    random = np.random.default_rng(seed)
    pictures, spots = zip(*(scene(random) for _ in range(count)), strict=True)
    named = random.integers(0, 2, count)
    pairs = [(("red", "blue"), ("blue", "red"))[i] for i in named]
    words = word_rows([f"put the {thing} one on the {other} one" for thing, other in pairs])
    poses = np.zeros((count, 2, 9), np.float32)
    for row, (spot, first) in enumerate(zip(spots, named, strict=True)):
        poses[row, :, :2] = spot[[first, 1 - first]]
        poses[row, :, 2] = 0.1
    return (
        torch.from_numpy(np.stack(pictures)).movedim(-1, 1),
        torch.from_numpy(words),
        torch.from_numpy(poses),
    )


def test_new_scenes_are_understood_after_few():
    torch.manual_seed(0)
    places = Places(PINHOLE, SIDE).train()
    pictures, words, poses = scenes(100, 1)
    known = torch.ones(len(pictures), 2, dtype=torch.bool)
    optimiser = torch.optim.AdamW(places.parameters(), 3e-3)
    for _ in range(200):
        rows = torch.randint(0, len(pictures), (16,))
        optimiser.zero_grad()
        places.loss(places(pictures[rows], words[rows]), poses[rows], known[rows]).backward()
        optimiser.step()
    pictures, words, poses = scenes(60, 2)
    with torch.no_grad():
        found = places.eval().poses(places(pictures, words))
    right = (found - poses)[..., :2].norm(dim=-1) < 0.03
    assert right.float().mean() > 0.9
    assert (found[..., 2] - 0.1).abs().mean() < 0.03


def test_spots_are_where_the_cells_look():
    places = Places(PINHOLE, SIDE).eval()
    for parameter in places.aside.parameters():
        torch.nn.init.zeros_(parameter)
    picture, words, _ = scenes(1, 0)
    spots = places(picture, words).spots_m[0, 0].detach().numpy()
    side = SIDE // 4
    middles = (np.arange(side) + 0.5) * 2.0 / side - 1.0
    wanted = PINHOLE.on_plane(np.array([[x, y] for y in middles for x in middles]), 0.02)
    assert spots == pytest.approx(wanted, abs=1e-5)


def test_cells_are_for_the_same_spots_in_half_precision():
    places = Places(PINHOLE, SIDE).train()
    for parameter in (*places.aside.parameters(), *places.along.parameters()):
        torch.nn.init.zeros_(parameter)
    pictures, words, _ = scenes(4, 0)
    spots = []
    for half in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            spots.append(places(pictures, words).spots_m)
    assert torch.allclose(*spots, atol=1e-6)


def test_a_vote_can_lie_on_the_line_to_the_other_place():
    places = Places(PINHOLE, SIDE).eval()
    aside, along = torch.zeros(1, 4, 6, 6), torch.zeros(1, 2, 6, 6)
    best = torch.tensor([[7, 29]])
    straight = places._spots(aside, along, best, None)[0]
    along[:, 0] = -1.0
    moved = places._spots(aside, along, best, None)[0]
    assert torch.equal(moved[1], straight[1])
    # Seen from right above, what is a line in the picture is one on the table, too.
    way = straight[1, 29] - straight[0]
    far = [cell for cell in range(36) if cell != 29]
    shift = (moved[0] - straight[0])[far]
    away = -way[far] / way[far].norm(dim=-1, keepdim=True)
    assert (shift * away).sum(-1) == pytest.approx(shift.norm(dim=-1), rel=1e-4)
    assert shift.norm(dim=-1).min() > 0.5 * shift.norm(dim=-1).max() > 0.0


def test_hints_are_for_training_alone():
    places = Places(PINHOLE, SIDE)
    picture, words, poses = scenes(4, 0)
    known = torch.ones(4, 2, dtype=torch.bool)
    votes = places.train()(picture, words)
    assert votes.hinted is not None
    alone = places.loss(replace(votes, hinted=None), poses, known)
    assert places.loss(votes, poses, known) > alone
    assert places.eval()(picture, words).hinted is None


def test_a_moved_picture_tells_where_its_places_were():
    torch.manual_seed(0)
    # Brightness says the column, so what is seen at a place tells where it comes from.
    ramp = torch.linspace(-1.0, 1.0, 64).expand(8, 3, 64, 64)
    pictures, (matrix, shift) = moved(ramp)
    half = torch.full((8, 2), 0.2)
    before = (half[:, None] @ matrix.mT)[:, 0] + shift
    column = row = int((0.2 + 1.0) * 32)
    inside = before.abs().amax(-1) < 0.9
    assert inside.any()
    assert pictures[inside, 0, row, column] == pytest.approx(before[inside, 0], abs=0.06)


def test_only_known_places_are_learnt():
    votes = Votes(
        chances=torch.zeros(2, 2, 4).log_softmax(-1),
        spots_m=torch.zeros(2, 2, 4, 2),
        pictures=torch.zeros(2, 3, SIDE, SIDE),
        said=torch.zeros(2, 64),
        together=torch.zeros(2),
    )
    places, wanted = Places(PINHOLE, SIDE), torch.zeros(2, 2, 9)
    wanted[1] = 5.0
    known = torch.tensor([[True, True], [False, False]])
    assert places.loss(votes, wanted, known) < 2.0
    assert places.loss(votes, wanted, ~known) > 2.0


def test_votes_for_where_the_hand_never_goes_do_not_count():
    torch.manual_seed(0)
    pictures, words, _ = scenes(20, 2)
    with torch.no_grad():
        votes = Places(PINHOLE, SIDE).eval()(pictures, words)
    chosen = votes.spots_m.take_along_dim(votes.chances.argmax(-1)[..., None, None], 2)
    middle = chosen[..., 0].median()
    torch.manual_seed(0)
    reach_m = (-10.0, -10.0, float(middle), 10.0)
    with torch.no_grad():
        kept = Places(PINHOLE, SIDE, reach_m=reach_m).eval()(pictures, words)
    assert torch.equal(kept.spots_m, votes.spots_m)
    shares = kept.chances.exp()
    assert (chosen[..., 0] > middle).any(), "without the bound some would have won"
    assert (shares * (kept.spots_m[..., 0] > middle)).sum(-1).max() < 1e-4
    assert torch.allclose(shares.sum(-1), torch.ones(()))


def test_what_the_hand_hides_is_where_it_was_seen():
    before, found = torch.zeros(1, 2, 9), torch.ones(1, 2, 9)
    before[0, 1, 0] = 1.0
    kept = remembered(found, before, torch.tensor([[0.03, 0.0, 0.02]]))
    assert (kept[0, 0] == before[0, 0]).all() and (kept[0, 1] == found[0, 1]).all()


def test_a_thing_that_is_pushed_is_told_where_it_is_now():
    before, found = torch.zeros(1, 2, 9), torch.ones(1, 2, 9)
    poses = told(before, found)
    assert torch.equal(poses[:, :2], before) and torch.equal(poses[:, 2], found[:, 0])
    assert torch.equal(told(before)[:, 2], before[:, 0])
