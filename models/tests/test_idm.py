"""Inverse dynamics from labels: nothing without actions, nothing from unlabelled rows."""

from __future__ import annotations

import pytest
import torch

from lam_models.command import UserError
from lam_models.systems.idm import Config, Idm
from lam_models.systems.roles import ClipBatch, Decoder, Labeler, Trainable


@pytest.fixture
def model() -> Idm:
    torch.manual_seed(0)
    return Idm(Config.tiny())


def clips(batch: int = 4, time: int = 2) -> ClipBatch:
    draw = torch.Generator().manual_seed(1)
    frames = torch.rand(batch, time, 3, 16, 16, generator=draw)
    return ClipBatch(frames, torch.rand(batch, time - 1, 6, generator=draw))


def test_it_labels_and_does_not_decode(model: Idm) -> None:
    assert isinstance(model, Trainable) and isinstance(model, Labeler)
    assert not isinstance(model, Decoder)
    assert model.spec().shape == (1, 6)


def test_without_actions_there_is_nothing_to_learn_from(model: Idm) -> None:
    assert Idm.needs_actions
    with pytest.raises(UserError, match="actions"):
        model.loss(ClipBatch(clips().frames))


def test_unlabelled_rows_count_for_nothing(model: Idm) -> None:
    batch, labelled = clips(time=3), torch.tensor([True, False, True, False])
    assert batch.actions is not None
    some, _ = model.loss(ClipBatch(batch.frames, batch.actions, labelled))
    kept, _ = model.loss(ClipBatch(batch.frames[labelled], batch.actions[labelled]))
    torch.testing.assert_close(some, kept)


def test_a_batch_without_a_label_teaches_nothing_and_does_no_harm(model: Idm) -> None:
    batch = clips()
    loss, _ = model.loss(ClipBatch(batch.frames, batch.actions, torch.zeros(4, dtype=torch.bool)))
    loss.backward()
    assert loss == 0.0
    assert all(p.grad is not None and not p.grad.any() for p in model.parameters())


def test_the_latent_is_the_action_it_predicts(model: Idm) -> None:
    batch = clips(time=3)
    assert batch.actions is not None
    values = model.encode(batch).values
    assert values.shape == (4, 2, 1, 6)
    loss, _ = model.loss(batch)
    torch.testing.assert_close((values[:, :, 0] - batch.actions).square().mean(), loss.detach())
