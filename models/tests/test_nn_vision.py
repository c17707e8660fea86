"""The frozen vision network: what it emits, that it never trains, that gradients pass it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lam_models.command import UserError
from lam_models.nn.imagenet import standardise
from lam_models.nn.text import FrozenT5, T5Shape, make_text
from lam_models.nn.vision import SHAPES, FrozenDinov2, VitShape, make_vision


def test_importing_the_leaf_does_not_import_transformers() -> None:
    code = "import sys, lam_models.nn.vision; sys.exit('transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def vision() -> FrozenDinov2:
    pytest.importorskip("transformers")
    torch.manual_seed(0)
    return FrozenDinov2.untrained(VitShape(width=24, depth=2, heads=2, image_size=28))


def test_one_token_a_patch_row_by_row(vision: FrozenDinov2) -> None:
    images = torch.rand(2, 3, 28, 42)
    tokens = vision(images)
    assert tokens.shape == (2, 6, 24)
    # The last token before any mixing is the last patch: registers and class token are gone.
    embedded = vision.model.get_input_embeddings()(standardise(images))
    assert embedded.shape == tokens.shape
    with pytest.raises(ValueError, match="30 x 28 pixels: both sides must be multiples of 14"):
        vision(torch.rand(1, 3, 30, 28))


def test_it_never_trains(vision: FrozenDinov2) -> None:
    parent = torch.nn.Sequential(vision).train()
    assert not any(module.training for module in vision.modules()) and parent.training
    assert not any(parameter.requires_grad for parameter in vision.parameters())


def test_no_graph_for_a_target_but_gradient_for_a_reconstruction(vision: FrozenDinov2) -> None:
    image = torch.rand(1, 3, 28, 28)
    assert not vision(image).requires_grad
    image.requires_grad_()
    vision(image)[..., 0].sum().backward()
    assert image.grad is not None and image.grad.abs().sum() > 0


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks the hub or its cache fails."""
    transformers = pytest.importorskip("transformers")

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("the hub is not to be asked")

    monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", refuse)
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", refuse)
    monkeypatch.setattr(transformers.AutoConfig, "from_pretrained", refuse)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", sorted(SHAPES))
def test_construction_knows_the_shapes_and_asks_nobody(name: str) -> None:
    with torch.device("meta"):
        vision = make_vision(name, SHAPES[name].patch)
    assert vision.width == SHAPES[name].width
    assert any("register_tokens" in key for key in vision.state_dict()) == bool(
        SHAPES[name].registers
    )


@pytest.mark.usefixtures("offline")
def test_what_cannot_be_fetched_is_said_on_fetching() -> None:
    with torch.device("meta"):
        text = make_text("google-t5/t5-base", 64, 4)
    assert isinstance(text, FrozenT5) and text.width == 768
    with pytest.raises(UserError, match=r"tokenizer of 'google-t5/t5-base' cannot be loaded"):
        text(["lift the cup"])
    small = FrozenT5(T5Shape(8, 1, 1, 8).build(16), "google-t5/t5-base")
    with pytest.raises(UserError, match=r"weights of 'google-t5/t5-base' cannot be loaded"):
        small.load_released()
    network = VitShape(width=8, depth=1, heads=1, image_size=28).build()
    with pytest.raises(UserError, match=r"weights of 'facebook/dinov2-base' cannot be loaded"):
        FrozenDinov2(network, "facebook/dinov2-base").load_released()


def test_names_and_patches_are_checked() -> None:
    with pytest.raises(UserError, match=r"unknown vision network.*'table_vit'"):
        make_vision("table_vti", 8)
    with pytest.raises(UserError, match=r"patch 14: that of the vision network 'table_vit' is 8"):
        make_vision("table_vit", 14)
    with pytest.raises(UserError, match=r"unknown text encoder.*'google-t5/t5-base'"):
        make_text("google-t5/t5-bse", 64, 4)


def test_a_folder_is_a_name_too(vision: FrozenDinov2, tmp_path: Path) -> None:
    vision.model.save_pretrained(tmp_path)
    torch.manual_seed(1)
    other, images = make_vision(str(tmp_path), 14), torch.rand(1, 3, 28, 28)
    assert not torch.allclose(other(images), vision(images))
    assert isinstance(other, FrozenDinov2)
    other.load_released()
    assert torch.equal(other(images), vision(images))


def test_all_that_a_t5_reads_with_is_in_its_state_dict_once() -> None:
    pytest.importorskip("transformers")
    weights = FrozenT5(T5Shape(8, 1, 1, 8).build(16)).state_dict()
    assert len({value.data_ptr() for value in weights.values()}) == len(weights)
    assert (16, 8) in [tuple(value.shape) for value in weights.values()]
