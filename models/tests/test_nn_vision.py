"""The frozen vision network: what it emits, that it never trains, that gradients pass it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from lam_models.nn.vision import FrozenDinov2


def test_importing_the_leaf_does_not_import_transformers() -> None:
    code = "import sys, lam_models.nn.vision; sys.exit('transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def vision() -> FrozenDinov2:
    pytest.importorskip("transformers")
    torch.manual_seed(0)
    return FrozenDinov2.untrained(width=24, depth=2, heads=2, image_size=28)


def test_one_token_a_patch_row_by_row(vision: FrozenDinov2) -> None:
    images = torch.rand(2, 3, 28, 42)
    tokens = vision(images)
    assert tokens.shape == (2, 6, 24)
    # The last token before any mixing is the last patch: registers and class token are gone.
    embedded = vision.model.embeddings.patch_embeddings((images - vision.mean) / vision.std)
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
