"""The statistics of ImageNet's RGB channels, which many image networks are given inputs in."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def standardise(images: Float[Tensor, "*batch 3 h w"]) -> Float[Tensor, "*batch 3 h w"]:
    """From 0..1 to about zero mean and unit variance a channel."""
    return (images - _channels(MEAN, images)) / _channels(STD, images)


def unstandardise(images: Float[Tensor, "*batch 3 h w"]) -> Float[Tensor, "*batch 3 h w"]:
    """The inverse of `standardise`; values that no image has are not cut off."""
    return images * _channels(STD, images) + _channels(MEAN, images)


def _channels(values: tuple[float, ...], like: Tensor) -> Float[Tensor, "3 1 1"]:
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]
