"""A vision transformer that learns without labels, from what it cannot see of an image.

Of every image it reads a few patches; a shallow decoder foretells all of them, as pixels and as
what a slow copy of the network makes of the whole image in other light. The pixels say where
things are from the first step on; the copy's features leave out what light alone changes.

Papers: He et al. 2022, masked autoencoders (arXiv 2111.06377): reading the visible patches only,
a patch's own mean and variance taken off its target. Baevski et al. 2022, data2vec (2202.03555): an
exponential moving average as the teacher, its last layers' mean as the target. As in both, a
target is standardised, so that it cannot be met by a constant.
"""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from lam_models.nn.imagenet import standardise
from lam_models.nn.patches import patchify
from lam_models.nn.transformer import Block
from lam_models.nn.vision import VitShape

# Layers of the teacher whose mean is the target.
_LAYERS = 3
# Added to variances: a patch of one colour, a feature that never changes.
_LEAST_PIXEL_VARIANCE, _LEAST_FEATURE_VARIANCE = 2e-2, 1e-4


class MaskedVit(nn.Module):
    """`forward(images)` is the loss; `network` is what is learnt.

    visible: share of an image's patches that the network reads.
    seen_weight: of the error at patches that it reads, where that at the others counts 1. Above 0
        the features keep what a patch shows, not only what it tells of others.
    latents: weight of the teacher's features beside the pixels; 0 is a masked autoencoder.
    momentum: share of the teacher that a step keeps, at the first step and from `settled` on.
    """

    step: Tensor

    def __init__(
        self,
        shape: VitShape,
        *,
        visible: float = 0.375,
        seen_weight: float = 0.3,
        latents: float = 1.0,
        momentum: tuple[float, float] = (0.97, 0.996),
        settled: int = 500,
    ) -> None:
        super().__init__()
        self.network = shape.build()
        # As strong as the patches: a small network in few steps does not find places otherwise.
        nn.init.normal_(self.network.embeddings.position_embeddings, std=0.2)  # pyright: ignore
        self.patch, self.patches = shape.patch, (shape.image_size // shape.patch) ** 2
        self.skipped = 1 + shape.registers
        self.visible = max(1, round(visible * self.patches))
        self.seen_weight, self.latents = seen_weight, latents
        self.momentum, self.settled = momentum, settled
        self.teacher = copy.deepcopy(self.network).requires_grad_(False) if latents else None
        self.decoder = _Decoder(shape, self.patches, with_latents=latents > 0)
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """The loss of images in [0, 1] and its parts; training moves the teacher first."""
        if self.training and self.teacher is not None:
            self._move_teacher()
        lit = standardise(relight(images))
        drawn = torch.rand(len(images), self.patches, device=images.device)
        keep = drawn.argsort(dim=1)[:, : self.visible]
        weight = torch.ones_like(drawn).scatter(1, keep, self.seen_weight)
        weight = weight / weight.mean()
        pixels, features = self.decoder(self._read(lit, keep), keep)
        error = _mean_error(pixels, patch_targets(lit, self.patch), weight)
        if features is None:
            return error, {"pixels": error.detach()}
        target, spread = self._teach(images)
        latent_error = _mean_error(features, target, weight)
        logged = {"pixels": error.detach(), "features": latent_error.detach(), "spread": spread}
        return error + self.latents * latent_error, logged

    def released(self) -> nn.Module:
        """What is kept of it: the teacher, the mean of many steps; without one the network."""
        return self.network if self.teacher is None else self.teacher

    def _read(
        self, images: Float[Tensor, "batch 3 height width"], keep: Int64[Tensor, "batch visible"]
    ) -> Float[Tensor, "batch visible features"]:
        embedded = self.network.embeddings(images)  # pyright: ignore
        first, patches = embedded[:, : self.skipped], embedded[:, self.skipped :]
        index = keep[..., None].expand(-1, -1, patches.shape[-1])
        tokens = torch.cat([first, patches.gather(1, index)], dim=1)
        read = self.network.encoder(tokens).last_hidden_state  # pyright: ignore
        return self.network.layernorm(read)[:, self.skipped :]  # pyright: ignore

    @torch.no_grad()
    def _teach(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> tuple[Float[Tensor, "batch patches features"], Float[Tensor, ""]]:
        """The target, and how far its features spread: near 0 they have collapsed."""
        assert self.teacher is not None
        layers = self.teacher(standardise(relight(images)), output_hidden_states=True).hidden_states
        normed = [functional.layer_norm(x, x.shape[-1:]) for x in layers[-_LAYERS:]]
        mean = torch.stack(normed).mean(0)[:, self.skipped :]
        centred = mean - mean.mean((0, 1))
        variance = centred.square().mean((0, 1))
        return centred / (variance + _LEAST_FEATURE_VARIANCE).sqrt(), variance.sqrt().mean()

    @torch.no_grad()
    def _move_teacher(self) -> None:
        assert self.teacher is not None
        first, last = self.momentum
        passed = (self.step / self.settled).clamp(max=1.0)
        kept = first + (last - first) * passed
        for slow, fast in zip(self.teacher.parameters(), self.network.parameters(), strict=True):
            slow.lerp_(fast, 1.0 - kept)
        self.step += 1


class _Decoder(nn.Module):
    """From the visible patches' features to pixels, and features, of all patches."""

    def __init__(self, shape: VitShape, patches: int, *, with_latents: bool) -> None:
        super().__init__()
        width = shape.width
        self.enter = nn.Linear(width, width)
        self.hidden = nn.Parameter(torch.zeros(width))
        self.places = nn.Parameter(0.2 * torch.randn(patches, width))
        self.block = Block(width, shape.heads)
        self.norm = nn.LayerNorm(width)
        self.to_pixels = nn.Linear(width, 3 * shape.patch**2)
        self.to_features = nn.Linear(width, width) if with_latents else None

    def forward(
        self, read: Float[Tensor, "batch visible width"], keep: Int64[Tensor, "batch visible"]
    ) -> tuple[
        Float[Tensor, "batch patches pixels"], Float[Tensor, "batch patches features"] | None
    ]:
        patches, width = self.places.shape
        tokens = self.hidden.to(read).expand(len(read), patches, width)
        tokens = tokens.scatter(1, keep[..., None].expand(-1, -1, width), self.enter(read))
        told = self.norm(self.block(tokens + self.places))
        return self.to_pixels(told), None if self.to_features is None else self.to_features(told)


def relight(
    images: Float[Tensor, "batch 3 height width"], gain: float = 0.3, offset: float = 0.15
) -> Float[Tensor, "batch 3 height width"]:
    """Other light for each image: every channel scaled about grey and shifted, up to these much."""
    drawn = 2.0 * torch.rand(2, len(images), 3, 1, 1, device=images.device) - 1.0
    return ((images - 0.5) * (1.0 + gain * drawn[0]) + 0.5 + offset * drawn[1]).clamp(0.0, 1.0)


def patch_targets(
    images: Float[Tensor, "batch 3 height width"], patch: int
) -> Float[Tensor, "batch patches pixels"]:
    """The pixels of each patch about their mean, in about their standard deviation."""
    cut = patchify(images, patch).flatten(1, 2)
    centred = cut - cut.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + _LEAST_PIXEL_VARIANCE).sqrt()


def _mean_error(
    told: Float[Tensor, "batch patches size"],
    target: Float[Tensor, "batch patches size"],
    weight: Float[Tensor, "batch patches"],
) -> Float[Tensor, ""]:
    return ((told - target).square().mean(-1) * weight).mean()
