"""Laws of a space of hands as a folder."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lam_models.checkpoint import origin_now
from lam_models.command import UserError
from lam_models.hands.human import mean_hand
from lam_models.hands.space import (
    Coder,
    HandSpace,
    Layers,
    Modality,
    founded,
    hand_modality,
    human_modality,
    human_points,
    human_vector,
    open_space,
    save_space,
)
from lam_models.hands.spec_file import read_hand

HANDS = ("panda_gripper", "shadow", "allegro")
DIM = 16


def layers(rng: np.random.Generator, *sizes: int) -> Layers:
    return tuple(
        (
            (rng.standard_normal((after, before)) / np.sqrt(before)).astype(np.float32),
            rng.standard_normal(after).astype(np.float32),
        )
        for before, after in pairwise(sizes)
    )


def coder(modality: Modality, rng: np.random.Generator) -> Coder:
    size = len(modality.entries)
    center, scale = rng.standard_normal(size), rng.uniform(0.5, 2.0, size)
    return Coder(
        modality,
        center.astype(np.float32),
        scale.astype(np.float32),
        layers(rng, size, 24, DIM),
        layers(rng, DIM, 24, size),
    )


def random_space(hands: Sequence[str] = HANDS, seed: int = 0) -> HandSpace:
    rng = np.random.default_rng(seed)
    modalities = [human_modality(), *(hand_modality(read_hand(name)) for name in hands)]
    coders = {modality.name: coder(modality, rng) for modality in modalities}
    return HandSpace(founded("hand/random", DIM, coders), coders)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_space(tmp_path / "space", random_space(), origin_now("none", "random"))


def test_what_is_opened_is_what_was_saved(folder: Path):
    saved, opened = random_space(), open_space(folder)
    assert opened.latent == saved.latent
    assert list(opened.coders) == list(saved.coders)
    for name in HANDS:
        q = read_hand(name).sample(20, 0)
        latents = saved.coder(name).encode(q)
        np.testing.assert_array_equal(opened.coder(name).encode(q), latents)
        np.testing.assert_array_equal(
            opened.coder(name).decode(latents), saved.coder(name).decode(latents)
        )


@given(st.sampled_from(HANDS), st.integers(0, 1000), st.floats(0.1, 100.0))
@settings(max_examples=30, deadline=None)
def test_latents_are_on_the_sphere_and_decoded_poses_within_limits(
    name: str, seed: int, far: float
):
    spec, space = read_hand(name), random_space()
    latents = space.coder(name).encode(spec.sample(8, seed))
    np.testing.assert_allclose(np.linalg.norm(latents, axis=-1), 1.0, atol=1e-5)
    q = space.coder(name).decode(far * latents).astype(np.float64)
    assert (q >= spec.lower).all() and (q <= spec.upper).all()


def test_one_pose_and_a_stack_of_them_are_coded_alike():
    shadow = random_space().coder("shadow")
    q = read_hand("shadow").sample(6, 1)
    np.testing.assert_allclose(shadow.encode(q)[2], shadow.encode(q[2]), atol=1e-6)
    latents = shadow.encode(q).reshape(2, 3, DIM)
    np.testing.assert_allclose(
        shadow.decode(latents)[1, 1], shadow.decode(latents[1, 1]), atol=1e-5
    )


def test_points_of_a_human_hand_survive_their_vector():
    points = mean_hand().points(np.zeros((3, 21)))
    np.testing.assert_array_equal(human_points(human_vector(points)), points)


def test_the_name_of_a_space_is_its_founding_encoders():
    one, other = random_space(), random_space(seed=1)
    assert one.latent.space_hash == random_space().latent.space_hash
    assert one.latent.space_hash != other.latent.space_hash
    decoders = {
        name: dataclasses.replace(of, decoder=other.coders[name].decoder)
        for name, of in one.coders.items()
    }
    assert founded("hand/random", DIM, decoders) == one.latent


def test_a_hand_that_the_space_never_saw_is_named_with_what_it_knows(folder: Path):
    with pytest.raises(UserError, match="unknown hand of the space 'hand/random' 'leap'"):
        open_space(folder).coder_for(read_hand("leap"))


def test_a_hand_file_that_changed_is_refused(folder: Path):
    space, spec = open_space(folder), read_hand("allegro")
    assert space.coder_for(spec).modality.entries == spec.actuated
    first, *rest = spec.joints.items()
    wider = dataclasses.replace(first[1], limits_rad=(-1.0, 1.0))
    with pytest.raises(UserError, match=f"limits of '{first[0]}'"):
        space.coder_for(dataclasses.replace(spec, joints=dict([(first[0], wider), *rest])))
    with pytest.raises(UserError, match="are not those that the space"):
        space.coder_for(dataclasses.replace(spec, joints=dict([*rest, first])))


def test_a_damaged_folder_is_refused_with_the_reason(folder: Path):
    config = json.loads((folder / "config.json").read_text())
    config["config"]["modalities"][1]["entries"].append("more")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="needs center and scale of 2"):
        open_space(folder)


def test_decoding_needs_no_torch(folder: Path):
    script = (
        "import sys; from lam_models.hands.space import open_space;"
        f"space = open_space({str(folder)!r});"
        "space.coder('shadow').decode(space.coder('shadow').encode([0.1] * 18));"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
