"""LAOM: features foreseen from views, a slow target, labels of the rows that have them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lam_models.systems.laom import Config, Laom, action_error
from lam_models.systems.roles import ClipBatch, Decoder, Labeler, Seer, Trainable


@pytest.fixture
def model() -> Laom:
    torch.manual_seed(0)
    return Laom(Config.tiny())


def clips(batch: int = 4, time: int = 3) -> ClipBatch:
    draw = torch.Generator().manual_seed(1)
    frames = torch.rand(batch, time, 3, 16, 16, generator=draw)
    return ClipBatch(frames, torch.rand(batch, time - 1, 6, generator=draw))


def test_it_offers_its_roles_and_the_papers_sizes(model: Laom) -> None:
    for role in (Trainable, Labeler, Decoder, Seer):
        assert isinstance(model, role)
    assert Config().frames == 11
    with torch.device("meta"):
        paper = Laom(replace(Config(), action_dim=21))
    trained = sum(p.numel() for p in paper.parameters() if p.requires_grad)
    assert abs(trained / 192.3e6 - 1) < 0.02


def test_features_are_standardised_and_never_trained_by_the_loss(model: Laom) -> None:
    seen = model.see(clips().frames[:, 0])
    torch.testing.assert_close(seen.mean(1), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.var(1, correction=0), torch.ones(4), atol=1e-3, rtol=0)
    model.loss(clips())[0].backward()
    assert all(p.grad is None for p in model.target.parameters())


def test_the_target_follows_the_encoder_in_training_alone(model: Laom) -> None:
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter += 1.0

    def gap() -> float:
        pairs = zip(model.target.parameters(), model.encoder.parameters(), strict=True)
        return max(float((slow - fast).detach().abs().max()) for slow, fast in pairs)

    before = gap()
    model.eval().loss(clips())
    assert gap() == before
    model.train().loss(clips())
    assert gap() == pytest.approx(before * (1 - model.config.target_rate), rel=1e-4)


def test_the_forward_model_does_not_shape_the_features_it_starts_from(model: Laom) -> None:
    batch = clips()
    with torch.no_grad():
        for parameter in model.inverse.parameters():
            parameter.zero_()
    model.loss(ClipBatch(batch.frames))[0].backward()
    assert all(not p.grad.any() for p in model.encoder.parameters() if p.grad is not None)


def test_in_evaluation_the_loss_is_that_of_the_next_frame_as_it_is(model: Laom) -> None:
    model.eval()
    batch = clips()
    first, logged = model.loss(batch)
    assert torch.equal(first, model.loss(batch)[0])
    values = model.encode(batch).values[:, 0]
    foreseen = model.decode(values, batch.frames[:, :1])
    error = (foreseen - model.see(batch.frames[:, 1])).square().mean()
    torch.testing.assert_close(logged["prediction"], error.detach())


def test_in_training_views_and_offsets_are_drawn(model: Laom) -> None:
    still = ClipBatch(torch.rand(1, 1, 3, 16, 16).expand(6, 3, -1, -1, -1))
    present, following, future = model._triples(still.frames)
    assert not torch.allclose(present, following) and not torch.allclose(following, future)
    plain = Laom(replace(model.config, shift=0.0, rotation_rad=0.0, perspective=0.0))
    counted = torch.arange(3.0).view(1, 3, 1, 1, 1).expand(64, 3, 3, 16, 16)
    present, following, future = plain._triples(counted)
    assert set(present.flatten().round().tolist()) == {0.0}
    assert set(following.flatten().round().tolist()) == {1.0}
    assert set(future.flatten().round().tolist()) == {1.0, 2.0}


def test_only_labelled_rows_teach_the_action(model: Laom) -> None:
    predicted, actions = torch.randn(4, 6), torch.randn(4, 6)
    labelled = torch.tensor([True, False, False, True])
    expected = (predicted[labelled] - actions[labelled]).square().mean()
    torch.testing.assert_close(action_error(predicted, actions, labelled), expected)
    assert action_error(predicted, actions, torch.zeros(4, dtype=torch.bool)) == 0.0
    _, logged = model.loss(ClipBatch(clips().frames))
    assert logged["action"] == 0.0


def test_collapsed_features_are_visible_in_the_log(model: Laom) -> None:
    _, healthy = model.eval().loss(clips())
    with torch.no_grad():
        for name, parameter in model.target.named_parameters():
            if name.endswith("weight"):
                parameter.zero_()
            else:
                parameter.normal_()
    _, collapsed = model.loss(clips())
    assert collapsed["feature_std"] < 1e-3 < 10 * healthy["feature_std"]
