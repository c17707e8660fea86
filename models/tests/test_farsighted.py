"""Farsighted-LAM: steps from a window's first frame, depth, a perceptual term that trains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from lam_models.systems.farsighted import Config, Farsighted
from lam_models.systems.roles import ClipBatch, Decoder, Labeler, Trainable


def make(**changes: Any) -> Farsighted:
    torch.manual_seed(0)
    return Farsighted(replace(Config.tiny(), **changes)).eval()


@pytest.fixture
def model() -> Farsighted:
    return make()


def frames(time: int = 3, channels: int = 3) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.rand(2, time, channels, 32, 32, generator=draw)


def latents(model: Farsighted, clips: Tensor) -> Tensor:
    found = model.encode(ClipBatch(clips)).unquantised
    assert found is not None
    return found


def test_it_offers_its_roles(model: Farsighted) -> None:
    assert isinstance(model, Trainable)
    assert isinstance(model, Labeler)
    assert isinstance(model, Decoder)


def test_a_step_sees_the_frames_up_to_its_own(model: Farsighted) -> None:
    before = latents(model, frames())
    for changed in range(3):
        others = frames()
        others[:, changed] = 1 - others[:, changed]
        moved = (latents(model, others) - before).abs().amax((0, 2, 3)) > 1e-5
        assert moved.tolist() == [step + 1 >= changed for step in range(2)]


def test_a_longer_clip_is_its_windows(model: Farsighted) -> None:
    """Of three frames, so that frame 2 closes the first window and opens the second."""
    clips = frames(time=6)
    whole = latents(model, clips)
    assert whole.shape[1] == 5
    parts = [latents(model, clips[:, a:b]) for a, b in ((0, 3), (2, 5), (4, 6))]
    torch.testing.assert_close(whole, torch.cat(parts, dim=1))


def test_a_later_frame_is_made_from_the_first_of_its_window(model: Farsighted) -> None:
    values, state = torch.randn(2, 4, 8), frames()
    second = model.decode(values, state[:, :2])
    assert torch.equal(second, model.decode(values, torch.stack([state[:, 0], state[:, 2]], 1)))
    assert not torch.allclose(second, model.decode(values, 1 - state[:, :2]))
    assert not torch.allclose(second, model.decode(values, state[:, :1])), "another step"
    third, opened = model.decode(values, state), model.decode(values, state[:, 2:])
    assert torch.equal(third, opened), "the next window starts at its last frame"


def test_training_and_decoding_make_the_same_frames(model: Farsighted) -> None:
    clips = frames()
    values = model.encode(ClipBatch(clips)).values
    made = [model.decode(values[:, step], clips[:, : step + 1]) for step in range(2)]
    error = (torch.stack(made, dim=1) - clips[:, 1:]).square().mean()
    _, logged = model.loss(ClipBatch(clips))
    torch.testing.assert_close(logged["reconstruction"], error)


def test_the_decoder_reads_every_code(model: Farsighted) -> None:
    values = torch.randn(2, 4, 8, requires_grad=True)
    made = model.decode(values, frames()[:, :1])
    (gradient,) = torch.autograd.grad(made.square().sum(), values)
    assert (gradient.abs().amax(-1) > 0).all()


def test_the_perceptual_term_trains_the_decoder() -> None:
    gradients = []
    for weight in (0.0, 1.0):
        model = make(perceptual_weight=weight)
        loss, logged = model.loss(ClipBatch(frames()))
        assert ("perceptual" in logged) == (weight > 0)
        loss.backward()
        gradients.append(model.decoder.heads[0].weight.grad)
    assert not torch.allclose(*gradients)


def test_depth_is_drawn_beside_the_colours_and_not_encoded() -> None:
    model, clips = make(depth=True), frames(channels=4)
    loss, logged = model.loss(ClipBatch(clips))
    assert logged["depth"] > 0
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    flat = clips.clone()
    flat[:, :, 3] = 0.0
    assert torch.equal(latents(model, clips), latents(model, flat))
    values = model.encode(ClipBatch(clips)).values[:, 0]
    made, unseen = model.decode(values, clips[:, :1]), model.decode(values, flat[:, :1])
    assert made.shape == (2, 4, 32, 32) and made.min() >= 0
    assert not torch.allclose(made, unseen), "the first frame's depth is read"
