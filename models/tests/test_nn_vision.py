"""The frozen vision network: what it emits, that it never trains, that gradients pass it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lam_models.command import UserError
from lam_models.nn.imagenet import standardise
from lam_models.nn.text import FrozenT5, T5Shape, make_text
from lam_models.nn.vision import SHAPES, SHIPPED, FrozenDinov2, VitShape, make_vision


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


@pytest.fixture
def shipped(monkeypatch: pytest.MonkeyPatch) -> FrozenDinov2:
    """As it comes with the package, which no hub is needed for."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    network = make_vision("table_vit", 8)
    assert isinstance(network, FrozenDinov2)
    network.load_released()
    return network


def table(x: int, y: int) -> torch.Tensor:
    """A red block on a table before a wall, its upper left corner at these pixels."""
    image = torch.tensor([0.55, 0.6, 0.65])[:, None, None].repeat(1, 64, 64)
    image[:, 20:] = torch.tensor([0.72, 0.63, 0.5])[:, None, None]
    image[:, y : y + 6, x : x + 6] = torch.tensor([0.85, 0.15, 0.1])[:, None, None]
    return image[None]


def test_the_shipped_network_is_small_and_says_where_it_comes_from(shipped: FrozenDinov2) -> None:
    assert sum(p.numel() for p in shipped.parameters()) < 1_000_000
    folder = SHIPPED / "table_vit"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 2.5e6
    origin = json.loads((folder / "origin.json").read_text())
    assert {"data", "recipe", "nmse_of_positions"} <= set(origin)
    assert all(p.dtype == torch.float32 for p in shipped.parameters())


def test_loading_the_shipped_weights_twice_gives_the_same_features(shipped: FrozenDinov2) -> None:
    image, again = table(29, 41), make_vision("table_vit", 8)
    assert isinstance(again, FrozenDinov2)
    assert not torch.allclose(again(image), shipped(image))
    again.load_released()
    assert torch.equal(again(image), shipped(image))


@pytest.mark.parametrize("place", [(10, 34), (29, 41), (44, 50)])
def test_the_shipped_features_follow_things_rather_than_noise_and_light(
    shipped: FrozenDinov2, place: tuple[int, int]
) -> None:
    x, y = place
    torch.manual_seed(0)
    before = shipped(table(x, y))

    def change(image: torch.Tensor) -> float:
        return float((shipped(image) - before).square().mean())

    half_a_patch, patch = change(table(x + 4, y)), change(table(x + 8, y))
    noise = change((table(x, y) + 0.03 * torch.randn(1, 3, 64, 64)).clamp(0.0, 1.0))
    assert noise < 0.5 * half_a_patch and half_a_patch < patch
    assert change(0.9 * table(x, y)) < patch
    # Most where the block was or is: its 6 pixels touch two columns and rows of patches at most.
    moved = (shipped(table(x + 8, y)) - before).square().sum(-1)[0].argmax()
    row, column = divmod(int(moved), 8)
    assert row in (y // 8, (y + 5) // 8) and x // 8 <= column <= (x + 13) // 8
