"""Named slots as latents: a joint hears what was said in its slot, whoever said it."""

from __future__ import annotations

import numpy as np
import pytest

from lam_models.hands.grasp import grasp_pose, measure_all
from lam_models.hands.human import ANGLES
from lam_models.hands.slot_space import slot_space
from lam_models.hands.space import HandSpace
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_file import read_hand, shipped_hands

SPECS = {name: read_hand(name) for name in shipped_hands()}


@pytest.fixture(scope="module")
def space() -> HandSpace:
    return slot_space(SPECS.values())


def shares_of(spec: HandSpec, joints: np.ndarray) -> np.ndarray:
    return (joints - spec.lower) / (spec.upper - spec.lower)


def drawn(spec: HandSpec, count: int) -> np.ndarray:
    shares = np.random.default_rng(0).uniform(size=(count, len(spec.lower)))
    return spec.lower + shares * (spec.upper - spec.lower)


@pytest.mark.parametrize("name", SPECS)
def test_a_joint_alone_in_its_slot_survives(space: HandSpace, name: str):
    spec, coder = SPECS[name], space.coder(name)
    joints = drawn(spec, 100)
    latents = coder.encode(joints)
    assert np.allclose(np.linalg.norm(latents, axis=1), 1.0, atol=1e-5)
    slots = [spec.joints[joint].slot.removeprefix("-") for joint in spec.actuated]
    alone = [len(slots) == 1 or (bool(slot) and slots.count(slot) == 1) for slot in slots]
    missed = np.abs(shares_of(spec, coder.decode(latents)) - shares_of(spec, joints))
    assert missed[:, alone].max() < 0.01
    mute = [not slot and len(slots) > 1 for slot in slots]
    assert np.allclose(shares_of(spec, coder.decode(latents))[:, mute], 0.5, atol=0.01)


def test_a_slot_means_the_same_on_two_hands(space: HandSpace):
    allegro, shadow = SPECS["allegro"], SPECS["shadow"]
    slot = "index_pip_flexion"
    columns = [
        [spec.joints[joint].slot for joint in spec.actuated].index(slot)
        for spec in (allegro, shadow)
    ]
    joints = drawn(allegro, 50)
    found = space.coder("shadow").decode(space.coder("allegro").encode(joints))
    said, heard = shares_of(allegro, joints), shares_of(shadow, found)
    assert np.allclose(said[:, columns[0]], heard[:, columns[1]], atol=0.01)


@pytest.mark.parametrize("gripper", ["parallel_gripper", "robotiq_2f85"])
def test_a_gripper_that_closes_bends_thumb_and_index_finger(space: HandSpace, gripper: str):
    """One closes as its joint falls, the other as it grows."""
    spec, hand = SPECS[gripper], SPECS["four_finger"]
    ends = np.stack([spec.lower, spec.upper])
    if gripper == "parallel_gripper":
        ends = ends[::-1]
    opened, closed = space.coder("four_finger").decode(space.coder(gripper).encode(ends))
    moved = shares_of(hand, closed) - shares_of(hand, opened)
    for joint, share in zip(hand.actuated, moved, strict=True):
        slot = hand.joints[joint].slot
        sign = -1.0 if slot.startswith("-") else 1.0
        named = slot.removeprefix("-")
        bends = named.startswith(("index", "thumb")) and named.endswith("flexion")
        assert share == pytest.approx(sign if bends else 0.0, abs=0.02), joint


def test_a_policy_steers_where_slots_close_the_hand(space: HandSpace):
    measured = measure_all(space, SPECS.values())
    assert grasp_pose(measured.coder("four_finger").modality) is not None
    assert measured.latent == space.latent and space.dim == 2 * len(ANGLES)
