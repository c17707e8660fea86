"""Laws that hold for every system of the registry; a new line there is tested here at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from lam_models.command import UserError
from lam_models.systems import SYSTEMS, find
from lam_models.systems.roles import ClipBatch, Decoder, Labeler, Seer, Trainable

CLIPS = 8
MOST_PARAMETERS = 1_000_000


def tiny(name: str) -> Any:
    torch.manual_seed(0)
    kind = find(name)
    return kind(kind.Config.tiny())


def batch_for(system: Any) -> ClipBatch:
    """Random clips of the kind that the system's Config asks for."""
    draw = torch.Generator().manual_seed(1)
    config = system.config
    vector = getattr(config, "observation_dim", None)
    size = (vector,) if vector else (3, config.image_size, config.image_size)
    steps = config.frames - 1
    actions = torch.rand(CLIPS, steps, getattr(config, "action_dim", 6), generator=draw)
    words = tuple(("reach", "stack the cans")[i % 2] for i in range(CLIPS))
    return ClipBatch(torch.rand(CLIPS, steps + 1, *size, generator=draw), actions, None, words)


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
    spec, batch = system.spec(), batch_for(system)
    encoded, steps = system.eval().encode(batch), batch.frames.shape[1] - 1
    assert encoded.values.shape == (CLIPS, steps, *spec.shape)
    assert (encoded.codes is None) == (encoded.unquantised is None) == (spec.codebook_size == 0)
    if encoded.codes is not None:
        assert encoded.codes.shape == (CLIPS, steps, spec.shape[0])
        assert int(encoded.codes.min()) >= 0 and int(encoded.codes.max()) < spec.codebook_size


def test_decode_gives_the_next_frame_as_the_system_sees_it(system: Any) -> None:
    if not isinstance(system, Decoder):
        return
    batch, history = batch_for(system), system.config.history
    values = system.eval().encode(batch).values[:, history]
    seen = system.see if isinstance(system, Seer) else lambda frames: frames
    decoded = system.decode(values, batch.frames[:, : history + 1])
    assert decoded.shape == seen(batch.frames[:, history + 1]).shape
    assert torch.isfinite(decoded).all()


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
