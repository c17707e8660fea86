"""LAPO: three frames to codes of two codebooks, and the world model of two frames."""

from __future__ import annotations

import pytest
import torch

from lam_models.nn.vq import EmaVQ
from lam_models.systems.lapo import Config, Lapo, stacked, steps_of
from lam_models.systems.roles import ClipBatch, Decoder, Labeler, Trainable


@pytest.fixture
def model() -> Lapo:
    torch.manual_seed(0)
    return Lapo(Config.tiny()).eval()


def codebooks(model: Lapo) -> list[EmaVQ]:
    return [vq for vq in model.codebooks if isinstance(vq, EmaVQ)]


def clips(batch: int = 2, time: int = 4) -> ClipBatch:
    return ClipBatch(torch.rand(batch, time, 3, 16, 16, generator=torch.Generator().manual_seed(1)))


def test_it_offers_its_roles_and_the_papers_sizes(model: Lapo) -> None:
    for role in (Trainable, Labeler, Decoder):
        assert isinstance(model, role)
    with torch.device("meta"):
        paper = Lapo(Config())
    # Two codebooks of four codes each, 128 numbers in all; 64 x 64 to 8 x 8 places.
    assert paper.config.tokens * paper.config.code_dim == 128
    assert [vq.num_codes for vq in codebooks(paper)] == [64, 64]
    linear = paper.inverse[3]
    assert isinstance(linear, torch.nn.Linear) and linear.in_features == 128 * 8 * 8


def test_a_step_is_the_frames_before_at_and_after_it() -> None:
    frames = torch.arange(4.0).view(1, 4, 1, 1, 1).expand(1, 4, 3, 2, 2)
    assert steps_of(frames)[0, :, :, 0, 0, 0].tolist() == [[0, 0, 1], [0, 1, 2], [1, 2, 3]]


def test_pixels_lie_around_zero_in_order_of_time() -> None:
    frames = clips(time=2).frames
    torch.testing.assert_close(stacked(frames)[:, 3:], frames[:, 1] - 0.5)


def test_from_the_second_step_on_the_place_in_the_clip_does_not_matter(model: Lapo) -> None:
    batch = clips()
    whole, rest = model.encode(batch), model.encode(ClipBatch(batch.frames[:, 1:]))
    assert whole.unquantised is not None and rest.unquantised is not None
    torch.testing.assert_close(whole.unquantised[:, 2], rest.unquantised[:, 1])
    assert not torch.allclose(whole.unquantised[:, 1], rest.unquantised[:, 0], atol=1e-5)


def test_each_codebook_serves_its_share_of_the_tokens(model: Lapo) -> None:
    encoded = model.encode(clips())
    assert encoded.codes is not None
    first, second = codebooks(model)
    torch.testing.assert_close(encoded.values[:, :, :2], first.decode(encoded.codes[:, :, :2]))
    torch.testing.assert_close(encoded.values[:, :, 2:], second.decode(encoded.codes[:, :, 2:]))


def test_the_decoder_reads_the_two_last_frames_and_every_code(model: Lapo) -> None:
    frames = clips().frames
    values = torch.randn(2, 4, 8, requires_grad=True)
    made = model.decode(values, frames[:, :3])
    assert made.min() >= 0.0 and made.max() <= 1.0
    torch.testing.assert_close(made, model.decode(values, frames[:, 1:3]))
    assert not torch.allclose(made, model.decode(values, frames[:, 2:3]), atol=1e-5)
    alone = model.decode(values, frames[:, 2:3])
    torch.testing.assert_close(alone, model.decode(values, frames[:, [2, 2]]))
    (gradient,) = torch.autograd.grad(made.square().sum(), values)
    assert (gradient.abs().amax(-1) > 0).all()


def test_the_loss_is_that_of_the_steps_with_a_frame_before(model: Lapo) -> None:
    batch = clips(time=3)
    encoded = model.encode(batch)
    _, logged = model.loss(batch)
    made = model.decode(encoded.values[:, 1], batch.frames[:, :2])
    error = (made - batch.frames[:, 2]).square().mean()
    torch.testing.assert_close(logged["reconstruction"], error)


def test_codes_move_in_training_alone(model: Lapo) -> None:
    before = [vq.codebook.clone() for vq in codebooks(model)]
    model.loss(clips())
    model.train().encode(clips())
    assert all(torch.equal(vq.codebook, b) for vq, b in zip(codebooks(model), before, strict=True))
    model.loss(clips())
    assert not any(
        torch.equal(vq.codebook, b) for vq, b in zip(codebooks(model), before, strict=True)
    )
