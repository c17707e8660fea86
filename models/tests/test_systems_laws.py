"""Laws that hold for every system of the registry; a new line there is tested here at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lam_models.command import UserError
from lam_models.systems import SYSTEMS, find
from lam_models.systems.roles import ClipBatch, Labeler, Trainable

PAIRS = 8
MOST_PARAMETERS = 1_000_000


def tiny(name: str) -> Any:
    torch.manual_seed(0)
    kind = find(name)
    return kind(kind.Config.tiny())


def batch_for(system: Any) -> ClipBatch:
    """Random pairs of frames of the kind that the system's Config asks for."""
    draw = torch.Generator().manual_seed(1)
    config = system.config
    image = getattr(config, "image_size", None)
    size = (3, image, image) if image else (config.observation_dim,)
    actions = torch.rand(PAIRS, 1, getattr(config, "action_dim", 6), generator=draw)
    words = tuple(("reach", "stack the cans")[i % 2] for i in range(PAIRS))
    return ClipBatch(torch.rand(PAIRS, 2, *size, generator=draw), actions, None, words)


def backward(system: Any, batch: ClipBatch) -> float:
    loss, _ = system.loss(batch)
    loss.backward()
    return float(loss.detach())


@pytest.fixture(params=sorted(SYSTEMS))
def system(request: pytest.FixtureRequest) -> Any:
    return tiny(request.param)


def test_it_is_small_and_says_what_it_offers(system: Any) -> None:
    assert sum(p.numel() for p in system.parameters()) < MOST_PARAMETERS
    assert isinstance(system, Trainable) and isinstance(system, Labeler)


def test_the_loss_is_finite_and_reaches_every_trainable_parameter(system: Any) -> None:
    loss, logged = system.loss(batch_for(system))
    assert torch.isfinite(loss) and all(torch.isfinite(v).all() for v in logged.values())
    loss.backward()
    for name, parameter in system.named_parameters():
        assert not parameter.requires_grad or parameter.grad is not None, f"no gradient: {name}"


def test_encode_matches_the_spec(system: Any) -> None:
    spec, encoded = system.spec(), system.eval().encode(batch_for(system))
    assert encoded.values.shape == (PAIRS, 1, *spec.shape)
    assert (encoded.codes is None) == (spec.codebook_size == 0)
    if encoded.codes is not None:
        assert encoded.codes.shape == (PAIRS, 1, spec.shape[0])
        assert int(encoded.codes.min()) >= 0 and int(encoded.codes.max()) < spec.codebook_size


def test_saved_and_loaded_it_encodes_the_same(system: Any, tmp_path: Path) -> None:
    batch, file = batch_for(system), tmp_path / "model.safetensors"
    backward(system, batch)
    save_file({k: v.contiguous() for k, v in system.state_dict().items()}, file)
    other = type(system)(system.config)
    other.load_state_dict(load_file(file))
    before, after = system.eval().encode(batch), other.eval().encode(batch)
    assert torch.equal(before.values, after.values)
    assert torch.equal(before.values, system.encode(batch).values), "encoding twice differs"
    assert system.spec() == other.spec()


def test_one_batch_can_be_learnt_by_heart(system: Any) -> None:
    batch = batch_for(system)
    parameters = [p for p in system.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(parameters, lr=3e-3)
    losses = []
    for _ in range(150):
        optimiser.zero_grad()
        losses.append(backward(system, batch))
        optimiser.step()
    assert sum(losses[-10:]) / 10 < 0.8 * sum(losses[:3]) / 3


def test_the_registry_helps_with_a_wrong_name() -> None:
    with pytest.raises(UserError, match=r"unknown latent-action system 'lappa'.*'lapa'"):
        find("lappa")
