"""Poses read from pictures: their units, and that training's shifts do not mislead."""

from __future__ import annotations

import numpy as np
import torch

from lam_models.policy.inputs import pose_features
from lam_models.policy.pose_reader import PoseReader, PoseUnits

SIDE = 32


def poses(count: int) -> torch.Tensor:
    return torch.from_numpy(pose_features(np.random.default_rng(0).normal(size=(count, 6))))


def test_poses_come_back_from_the_networks_units():
    units, some = PoseUnits(), poses(20)
    units.standardise(some[:, :3].mean(0), some[:, :3].std(0))
    numbers = units.enter(some)
    assert torch.allclose(numbers[:, :3].std(0), torch.ones(3), atol=1e-5)
    assert torch.allclose(units.leave(numbers), some, atol=1e-5)


def scenes(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A square that is where the pose is, a pixel a centimetre."""
    random = np.random.default_rng(seed)
    pictures = np.full((count, SIDE, SIDE, 3), 40, np.uint8)
    ee = np.zeros((count, 6))
    for picture, pose in zip(pictures, ee, strict=True):
        row, column = random.integers(2, SIDE - 8, 2)
        picture[row : row + 6, column : column + 6] = 220
        # What stands still in a picture says how far it is shifted, at its border.
        picture[:2], picture[:, :2] = 0, 0
        pose[:2] = 0.01 * column, 0.01 * row
    return torch.from_numpy(pictures), torch.from_numpy(pose_features(ee))


def test_shifted_in_training_it_reads_what_is_not():
    torch.manual_seed(0)
    reader = PoseReader(SIDE, (8, 16, 16), 1, 64, shift=0.1).train()
    pictures, known = scenes(200, 0)
    reader.units.standardise(known[:, :3].mean(0), known[:, :3].std(0))
    optimiser = torch.optim.AdamW(reader.parameters(), 2e-3)
    for _ in range(150):
        rows = torch.randint(0, len(pictures), (32,))
        optimiser.zero_grad()
        reader.loss(pictures[rows], known[rows])[0].backward()
        optimiser.step()
    pictures, known = scenes(50, 1)
    off_m = (reader.eval().read(pictures) - known)[:, :2].norm(dim=1)
    assert off_m.median() < 0.015
    assert torch.allclose(reader.loss(pictures, known)[1], 1000.0 * off_m.mean(), atol=5.0)
