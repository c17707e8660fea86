"""Laws of the image parts: inverses, sizes, gradients, the frozen vision network, losses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lam_models.nn.conv import ConvDecoder, ConvEncoder, strided
from lam_models.nn.heads import DenseSkipMLP, mlp, orthogonal_init
from lam_models.nn.losses import info_nce, normalised_patches, perceptual, reconstruction
from lam_models.nn.patches import PatchDecoder, PatchEmbed, patchify, unpatchify
from lam_models.nn.unet import ConditionedUNet


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@settings(deadline=None)
@given(rows=st.integers(1, 4), columns=st.integers(1, 4), patch=st.integers(1, 5))
def test_unpatchify_inverts_patchify(rows: int, columns: int, patch: int) -> None:
    images = torch.randn(2, 3, rows * patch, columns * patch)
    patches = patchify(images, patch)
    assert patches.shape == (2, rows, columns, 3 * patch**2)
    assert torch.equal(unpatchify(patches, patch), images)


def test_a_patch_is_a_crop_in_channel_row_column_order() -> None:
    images = torch.randn(2, 3, 8, 12)
    crop = images[:, :, 4:8, 8:12].flatten(1)
    assert torch.equal(patchify(images, 4)[:, 1, 2], crop)
    with pytest.raises(ValueError, match="10"):
        patchify(torch.randn(3, 10, 8), 4)


def test_a_conv_decoder_mirrors_its_encoder() -> None:
    encoder = ConvEncoder(3, (4, 8, 8))
    features = encoder(torch.randn(2, 3, 32, 48))
    assert features.shape == (2, 8, 4, 6)
    assert ConvDecoder(8, (8, 8, 4), 3)(features).shape == (2, 3, 32, 48)


def test_the_papers_encoders_have_the_papers_sizes() -> None:
    laom = ConvEncoder(9, (96, 192, 192), halve=strided, activation=nn.ReLU6)
    assert laom(torch.randn(1, 9, 64, 64)).shape == (1, 192, 8, 8)
    lapo = ConvEncoder(9, (64, 128, 128))
    assert lapo(torch.randn(1, 9, 64, 64)).shape == (1, 128, 8, 8)


def test_unet_hears_its_condition_and_refuses_other_sizes() -> None:
    unet = ConditionedUNet(3, 3, 4, base=4, stages=2).eval()
    image, condition = torch.randn(2, 3, 16, 24), torch.randn(2, 4)
    out = unet(image, condition)
    assert out.shape == image.shape
    assert not torch.allclose(out, unet(image, condition.flip(0)), atol=1e-5)
    with pytest.raises(ValueError, match="multiples of 8"):
        unet(torch.randn(2, 3, 12, 16), condition)


MODULES: dict[str, Callable[[], tuple[nn.Module, tuple[Tensor, ...]]]] = {
    "patch embed": lambda: (PatchEmbed(4, 16), (torch.randn(2, 3, 8, 8),)),
    "patch decoder": lambda: (PatchDecoder(4, 16), (torch.randn(2, 2, 2, 16),)),
    "pooled": lambda: (ConvEncoder(3, (4, 8)), (torch.randn(2, 3, 16, 16),)),
    "strided": lambda: (ConvEncoder(3, (4, 8), halve=strided), (torch.randn(2, 3, 16, 16),)),
    "decoder": lambda: (ConvDecoder(8, (8, 4), 3), (torch.randn(2, 8, 4, 4),)),
    "unet": lambda: (
        ConditionedUNet(3, 3, 4, base=4, stages=2),
        (torch.randn(4, 3, 16, 16), torch.randn(4, 4)),
    ),
    "mlp": lambda: (mlp(3, (8, 8), 2), (torch.randn(5, 3),)),
    "inverse head": lambda: (DenseSkipMLP(6, 4, width=8), (torch.randn(5, 6),)),
    "forward head": lambda: (
        DenseSkipMLP(4, 6, width=8, first_width=6),
        (torch.randn(5, 4), torch.randn(5, 6)),
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_every_parameter_receives_gradient(name: str) -> None:
    module, inputs = MODULES[name]()
    out = module(*inputs)
    F.mse_loss(out, torch.randn_like(out)).backward()
    # A batch norm takes away whatever constant the convolution before it adds.
    norms = any(isinstance(part, nn.BatchNorm2d) for part in module.modules())
    for key, parameter in module.named_parameters():
        assert parameter.grad is not None, key
        assert norms or parameter.grad.abs().sum() > 0, key


def test_orthogonal_init_keeps_lengths() -> None:
    layer = nn.Linear(8, 8)
    layer.apply(orthogonal_init)
    x = torch.randn(5, 8)
    assert torch.allclose(layer(x).norm(dim=1), x.norm(dim=1), atol=1e-5)


def test_reconstruction_never_teaches_the_target() -> None:
    prediction, target = torch.randn(4, requires_grad=True), torch.randn(4, requires_grad=True)
    reconstruction(prediction, target).backward()
    assert target.grad is None and prediction.grad is not None


def test_perceptual_loss_trains_the_prediction() -> None:
    features = ConvEncoder(3, (4,)).requires_grad_(False)
    prediction = torch.rand(2, 3, 8, 8, requires_grad=True)
    target = torch.rand(2, 3, 8, 8)
    perceptual(features, prediction, target).backward()
    assert prediction.grad is not None and prediction.grad.abs().sum() > 0
    assert perceptual(features, target, target) == 0


def test_normalised_patches_ignore_brightness_and_contrast() -> None:
    patches = torch.randn(2, 4, 48)
    found = normalised_patches(3.0 * patches + 5.0)
    assert torch.allclose(found, normalised_patches(patches), atol=1e-4)


def test_info_nce_orders_pairings_and_is_symmetric() -> None:
    a = torch.randn(16, 8)
    b = a + 0.1 * torch.randn(16, 8)
    chance = torch.log(torch.tensor(16.0))
    assert info_nce(a, b) < chance < info_nce(a, b.roll(1, 0))
    assert torch.allclose(info_nce(a, b), info_nce(b, a))
    assert torch.allclose(info_nce(a, b), info_nce(3.0 * a, b), atol=1e-6), "cosine"
    assert torch.allclose(info_nce(a, b, temperature=1e6), chance, atol=1e-4)
    temperature = torch.tensor(0.1, requires_grad=True)
    info_nce(a, b, temperature).backward()
    assert temperature.grad is not None
