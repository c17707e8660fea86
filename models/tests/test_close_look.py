"""The closer look at a place: what is cut out, and that turns are learnt from few pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lam_models.policy.close_look import PLANE_M, CloseLook, TableView
from lam_models.sense.pinhole import Pinhole

# From above, and from a corner.
ABOVE = Pinhole(3.0, (0.5, 0.0, 1.0), (math.pi / math.sqrt(2), -math.pi / math.sqrt(2), 0.0))
CORNER = Pinhole(3.1, (1.14, -0.22, 0.6), (-1.819, -1.335, 0.71))
SIDE, WORDS = 96, 8


def table(pinhole: Pinhole) -> np.ndarray:
    """x, y in the base frame that each pixel sees [m]."""
    line = (np.arange(SIDE) + 0.5) * 2.0 / SIDE - 1.0
    return pinhole.on_plane(np.stack(np.meshgrid(line, line), axis=-1), PLANE_M)


def middles(pinhole: Pinhole, count: int, random: np.random.Generator) -> np.ndarray:
    """Spots that the camera sees from near its picture's middle."""
    return pinhole.on_plane(random.uniform(-0.5, 0.5, (count, 2)), PLANE_M)


@pytest.mark.parametrize("pinhole", [ABOVE, CORNER])
def test_a_place_on_the_table_is_where_it_is_seen(pinhole: Pinhole):
    view = TableView(pinhole)
    spots = torch.rand(20, 2) * 1.6 - 0.8
    on_table = view.on_table(spots)
    assert on_table.numpy() == pytest.approx(pinhole.on_plane(spots.numpy(), PLANE_M), abs=1e-5)
    assert view.in_picture(on_table) == pytest.approx(spots, abs=1e-5)


def test_the_table_does_not_move_in_half_precision():
    view = TableView(CORNER)
    spots = torch.rand(20, 2) * 1.6 - 0.8
    with torch.autocast("cpu", torch.bfloat16):
        on_table = view.on_table(spots)
        assert view.in_picture(on_table) == pytest.approx(spots, abs=1e-5)
    assert torch.equal(on_table, view.on_table(spots))


@pytest.mark.parametrize("pinhole", [ABOVE, CORNER])
def test_what_is_cut_out_has_the_axes_of_the_base_frame(pinhole: Pinhole):
    # Colours that say where on the table a pixel is.
    picture = np.concatenate([table(pinhole), np.zeros((SIDE, SIDE, 1))], axis=-1)
    pictures = torch.from_numpy(picture).float().movedim(-1, 0)[None]
    spots = torch.from_numpy(middles(pinhole, 2, np.random.default_rng(0))).float()[None]
    cut = CloseLook(TableView(pinhole), 2, WORDS).cut_out(pictures, spots)[0]
    for spot, seen in zip(spots[0], cut, strict=True):
        assert seen[:2].mean((1, 2)) == pytest.approx(spot, abs=2e-3)
        down, right = seen[0].mean(1), seen[1].mean(0)
        assert (down.diff() > 0).all() and (right.diff() > 0).all()
        assert down[-1] - down[0] == pytest.approx(right[-1] - right[0], rel=0.1)
        assert seen[0].std(1).max() < 3e-3 and seen[1].std(0).max() < 3e-3


def bars(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures of a bar from a corner, the spots it lies at, and how it is turned [rad]."""
    random = np.random.default_rng(seed)
    there, spots = table(CORNER), middles(CORNER, count, random)
    turns = random.uniform(-0.7, 0.7, count)
    pictures = []
    for spot, turn in zip(spots, turns, strict=True):
        away = there - spot
        along = away @ [math.cos(turn), math.sin(turn)]
        across = away @ [-math.sin(turn), math.cos(turn)]
        bar = (abs(along) < 0.04) & (abs(across) < 0.012)
        pictures.append(np.where(bar[..., None], (0.8, 0.2, 0.3), (0.6, 0.6, 0.6)))
    shown = torch.from_numpy(np.stack(pictures)).float().movedim(-1, 1)
    return shown, torch.from_numpy(spots).float()[:, None], torch.from_numpy(turns).float()


def test_turns_are_learnt_from_few_pictures():
    torch.manual_seed(0)
    look = CloseLook(TableView(CORNER), 1, WORDS).train()
    pictures, spots, turns = bars(100, 1)
    optimiser = torch.optim.AdamW(look.parameters(), 3e-3)
    for _ in range(150):
        rows = torch.randint(0, len(pictures), (16,))
        near = spots[rows] + 0.005 * torch.randn(16, 1, 2)
        found = look(pictures[rows], near, torch.zeros(16, WORDS))[:, 0]
        missed = found[:, 3:5] - torch.stack([turns[rows].cos(), turns[rows].sin()], dim=-1)
        away = (found[:, :2] - spots[rows, 0]) / 0.02
        optimiser.zero_grad()
        (missed.abs().mean() + away.abs().mean()).backward()
        optimiser.step()
    pictures, spots, turns = bars(50, 2)
    near = spots + 0.005 * torch.randn(50, 1, 2)
    with torch.no_grad():
        found = look.eval()(pictures, near, torch.zeros(50, WORDS))[:, 0]
    off = (torch.atan2(found[:, 4], found[:, 3]) - turns).abs()
    assert off.median() < 0.1
    # It sets the spot right, too.
    before, after = ((at[:, :2] - spots[:, 0]).norm(dim=-1).mean() for at in (near[:, 0], found))
    assert after < 0.6 * before
