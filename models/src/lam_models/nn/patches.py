"""Images to rows of patch vectors and back.

Paper: Dosovitskiy et al. 2020, ViT (arXiv 2010.11929). A patch vector is ordered (channel, row,
column) as in LAPA's released weights; patches run row by row.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from lam_models.nn.transformer import Stem


def patchify(
    images: Float[Tensor, "*batch channels height width"], patch: int
) -> Float[Tensor, "*batch rows columns patch_width"]:
    """Cut into patches of `patch` x `patch` pixels; both sides must be multiples of it."""
    height, width = images.shape[-2:]
    if height % patch or width % patch:
        raise ValueError(
            f"image of {height} x {width} pixels: not a multiple of patches of {patch}"
        )
    cut = images.unflatten(-1, (-1, patch)).unflatten(-3, (-1, patch))
    # [*, channels, rows, patch, columns, patch] -> [*, rows, columns, channels, patch, patch]
    return cut.movedim((-4, -2), (-5, -4)).flatten(-3)


def unpatchify(
    patches: Float[Tensor, "*batch rows columns patch_width"], patch: int
) -> Float[Tensor, "*batch channels height width"]:
    """The inverse of `patchify`."""
    cut = patches.unflatten(-1, (-1, patch, patch))
    return cut.movedim((-5, -4), (-4, -2)).flatten(-4, -3).flatten(-2)


class PatchEmbed(nn.Module):
    """Patches to tokens on a grid, normalised before and after the projection."""

    def __init__(self, patch: int, width: int, *, channels: int = 3) -> None:
        super().__init__()
        self.patch = patch
        self.stem = Stem(channels * patch**2, width)

    def forward(
        self, images: Float[Tensor, "*batch channels h w"]
    ) -> Float[Tensor, "*batch rows columns width"]:
        return self.stem(patchify(images, self.patch))


class PatchDecoder(nn.Module):
    """Tokens on a grid to an image, one linear map a patch."""

    def __init__(self, patch: int, width: int, *, channels: int = 3) -> None:
        super().__init__()
        self.patch = patch
        self.to_pixels = nn.Linear(width, channels * patch**2)

    def forward(
        self, tokens: Float[Tensor, "*batch rows columns width"]
    ) -> Float[Tensor, "*batch channels h w"]:
        return unpatchify(self.to_pixels(tokens), self.patch)
