"""Joints as latents: what goes in comes out, on the sphere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lam_models.checkpoint import origin_now
from lam_models.hands.joint_space import joint_space
from lam_models.hands.space import open_space, save_space
from lam_models.hands.spec_file import read_hand, shipped_hands


@pytest.mark.parametrize("hand", shipped_hands())
def test_joints_survive_and_latents_lie_on_the_sphere(hand: str):
    spec = read_hand(hand)
    space = joint_space(spec)
    coder = space.coder_for(spec)
    shares = np.random.default_rng(0).uniform(size=(200, len(spec.lower)))
    shares[:2] = [[0.0], [1.0]]
    joints = spec.lower + shares * (spec.upper - spec.lower)
    latents = coder.encode(joints)
    assert latents.shape == (200, 2 * len(spec.lower)) and space.dim == latents.shape[1]
    assert np.allclose(np.linalg.norm(latents, axis=1), 1.0, atol=1e-5)
    missed = np.abs(coder.decode(latents) - joints) / (spec.upper - spec.lower)
    assert missed.max() < 0.01


def test_it_is_a_folder_like_any_other(tmp_path: Path):
    space = joint_space(read_hand("parallel_gripper"))
    opened = open_space(save_space(tmp_path / "space", space, origin_now("", "joints")))
    assert opened.latent == space.latent
    assert set(opened.coders) == {"parallel_gripper"}
