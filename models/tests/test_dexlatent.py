"""Laws of fingertips that gradients flow through, and of DexLatent's losses."""

from __future__ import annotations

import pytest
import torch

from lam_models.hands.kinematics import open_kinematics
from lam_models.hands.space import Modality, hand_modality, human_modality
from lam_models.hands.spec_file import read_hand
from lam_models.systems.dexlatent import Body, Config, DexLatent, UnpairedBatch, pinch_terms
from lam_models.systems.fingertips import fingertips

HANDS = ("panda_gripper", "allegro", "inspire_rh56")


def body_of(name: str) -> Body:
    if name == "human":
        modality, kinematics = human_modality(), None
    else:
        spec = read_hand(name)
        modality, kinematics = hand_modality(spec), open_kinematics(spec)
    size = len(modality.entries)
    return Body(modality, torch.zeros(size), torch.full((size,), 0.1), kinematics)


def vectors_of(modality: Modality, count: int) -> torch.Tensor:
    shares = torch.rand(count, len(modality.entries))
    if not modality.lower:
        return 0.2 * shares
    lower, upper = torch.tensor(modality.lower), torch.tensor(modality.upper)
    return lower + (upper - lower) * shares


def batch_of(bodies: list[Body], count: int) -> UnpairedBatch:
    vectors = [vectors_of(body.modality, count) for body in bodies]
    gaps = [body.gaps(of) for body, of in zip(bodies, vectors, strict=True)]
    return UnpairedBatch(torch.cat(vectors, dim=1), torch.stack(gaps, dim=1))


@pytest.mark.parametrize("name", HANDS)
def test_gradients_flow_through_fingertips(name: str) -> None:
    kinematics = open_kinematics(read_hand(name))
    q = torch.from_numpy(kinematics.spec.sample(3, seed=0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: fingertips(kinematics, x), (q,))


def test_fingertips_keep_precision_and_leading_axes() -> None:
    kinematics = open_kinematics(read_hand("allegro"))
    q = torch.from_numpy(kinematics.spec.sample(6, seed=0)).float().view(2, 3, -1)
    tips = fingertips(kinematics, q)
    assert tips.shape == (2, 3, 4, 3)
    assert tips.dtype == torch.float32


@pytest.fixture(scope="module")
def bodies() -> list[Body]:
    return [body_of(name) for name in ("human", *HANDS)]


def test_every_parameter_learns(bodies: list[Body]) -> None:
    torch.manual_seed(0)
    model = DexLatent(Config.tiny(), bodies)
    loss, logged = model.loss(batch_of(bodies, 16))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(value) for value in logged.values())
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_one_batch_is_learned(bodies: list[Body]) -> None:
    torch.manual_seed(0)
    model = DexLatent(Config.tiny(), bodies)
    batch = batch_of(bodies, 16)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss, _ = model.loss(batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_missing_finger_has_no_say() -> None:
    found, wanted = torch.rand(5, 4, 3), torch.rand(5, 4, 3)
    both = torch.tensor([[True, True, False, False]] * 5)
    moved = found.clone()
    moved[:, 2:] += 1.0
    before, after = (pinch_terms(of, wanted, both, 12.0) for of in (found, moved))
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


def test_a_gripper_is_held_to_distance_alone() -> None:
    wanted = torch.rand(5, 4, 3)
    both = torch.tensor([[True, False, False, False]] * 5)
    distance, direction = pinch_terms(-wanted, wanted, both, 12.0)
    assert float(distance) < 1e-6
    assert float(direction) == 0.0


def test_pinches_weigh_most() -> None:
    one = torch.tensor([1.0, 0.0, 0.0]).expand(1, 4, 3)
    both = torch.ones(1, 4, dtype=torch.bool)
    near, _ = pinch_terms(0.02 * one, 0.01 * one, both, 12.0)
    far, _ = pinch_terms(0.11 * one, 0.10 * one, both, 12.0)
    assert near > 2.0 * far
