"""A model's folder gives back the model, and refuses what is not it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from lam_models.checkpoint import open_checkpoint, origin_now, write
from lam_models.command import UserError
from lam_models.stages.opening import as_array, open_system, save_system
from lam_models.systems import find
from lam_models.systems.roles import ClipBatch


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    kind = find("lapa")
    torch.manual_seed(0)
    model = kind(kind.Config.tiny())
    model.loss(clips(model))  # moves counters and codes away from their first values
    stats = {"action": {"mean": torch.zeros(3).numpy(), "std": torch.ones(3).numpy()}}
    return save_system(tmp_path / "lapa", model, "lapa", origin_now("", "test"), stats=stats)


def clips(model) -> ClipBatch:
    draw, size = torch.Generator().manual_seed(1), model.config.image_size
    return ClipBatch(torch.rand(4, 2, 3, size, size, generator=draw))


def test_opened_it_is_the_model_that_was_saved(folder: Path) -> None:
    before = torch.get_rng_state()
    opened = open_system(folder)
    assert torch.equal(before, torch.get_rng_state()), "opening draws random numbers"
    assert opened.name == "lapa" and not opened.model.training
    assert opened.model.spec() == opened.checkpoint.spec.emits[0]
    again = save_system(folder.with_name("b"), opened.model, "lapa", opened.checkpoint.origin)
    first, second = open_checkpoint(folder), open_checkpoint(again)
    assert first.origin.weights_hash == second.origin.weights_hash
    assert set(first.tensors) == set(opened.model.state_dict()), "buffers are part of it"


def test_another_systems_weights_are_refused(folder: Path) -> None:
    checkpoint = open_checkpoint(folder)
    name = next(iter(checkpoint.tensors))
    fewer = {k: v for k, v in checkpoint.tensors.items() if k != name}
    write(folder, type(checkpoint)(**{**vars(checkpoint), "tensors": fewer}), overwrite=True)
    with pytest.raises(UserError, match=rf"lacks the tensor '{name}'"):
        open_system(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"system": "lappa"}, r"unknown latent-action system 'lappa'.*'lapa'"),
        ({"widths": 32}, r"unknown key 'widths'.*'width'"),
        ({"width": "32"}, r"width: expected int, found '32'"),
        ({"image_size": 30}, r"config.json: image of 30 pixels"),
        ({"codebook_size": 9}, r"has shape .* needs"),
    ],
)
def test_a_changed_configuration_is_refused_by_name(folder: Path, change, message: str) -> None:
    file = folder / "config.json"
    content = json.loads(file.read_text())
    (content if "system" in change else content["config"]).update(change)
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        open_system(folder)


def test_half_precision_is_widened_exactly() -> None:
    half = torch.rand(5).bfloat16()
    assert torch.equal(torch.from_numpy(as_array(half)), half.float())
    assert as_array(torch.tensor(3)).dtype == "int64"
