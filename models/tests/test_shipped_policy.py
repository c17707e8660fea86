"""The policy that comes with the package: it opens, is small, and acts on what it is shown."""

from __future__ import annotations

import numpy as np

from lam_models.checkpoint import open_checkpoint
from lam_models.hands.space import open_space
from lam_models.policy.opening import open_policy
from lam_models.policy.shipped import policy_folder, shipped_policy
from lam_models.types import Frame, Observation

LARGEST_BYTES = 20_000_000


def observation(instruction: str) -> Observation:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (192, 192, 3), dtype=np.uint8)
    ee = np.array([0.4, 0.0, 0.3, np.pi, 0.0, 0.0])
    frames = {name: Frame(pixels, 7) for name in ("front", "wrist")}
    return Observation(7, frames, {"ee": ee}, instruction)


def test_it_is_small_and_says_where_it_comes_from():
    files = list(shipped_policy().iterdir())
    assert sum(path.stat().st_size for path in files) < LARGEST_BYTES
    origin = open_checkpoint(shipped_policy()).origin
    assert origin.recipe and origin.git_commit and origin.data_hash


def test_it_commands_every_hand_of_the_shipped_space():
    chunk = open_policy(shipped_policy()).policy.act(observation("pick up the red cube"))
    assert chunk.hand_space == open_space("").latent
    assert np.isfinite(chunk.delta_ee).all() and np.allclose(
        np.linalg.norm(chunk.hand, axis=1), 1.0, atol=1e-3
    )


def test_it_heeds_the_instruction():
    policy = open_policy(shipped_policy()).policy
    red, left = (
        policy.act(observation(words)) for words in ("reach for the red cube", "open the drawer")
    )
    assert not np.allclose(red.delta_ee, left.delta_ee, atol=1e-4)


def test_a_command_line_names_it_or_a_folder(tmp_path):
    assert policy_folder("shipped") == shipped_policy()
    assert policy_folder(str(tmp_path)) == tmp_path
