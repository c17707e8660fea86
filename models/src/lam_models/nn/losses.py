"""Losses that several systems use. All are means over the batch; targets never receive gradient."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def reconstruction(
    prediction: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"]
) -> Float[Tensor, ""]:
    """Mean squared error over all elements, of pixels or of features.

    The target is detached: a target that learns along is a way to collapse, not to fit.
    """
    return F.mse_loss(prediction, target.detach())


def perceptual(
    features: Callable[[Tensor], Tensor],
    prediction: Float[Tensor, "batch 3 height width"],
    target: Float[Tensor, "batch 3 height width"],
) -> Float[Tensor, ""]:
    """Squared distance between the unit-length features of two images.

    `features` gives [..., width], e.g. a frozen network's tokens. Only the target's features are
    taken without gradient; Moto and Farsighted-LAM evaluate their whole perceptual term under
    no_grad, which makes it a number in the log that trains nothing.
    """
    with torch.no_grad():
        wanted = F.normalize(features(target), dim=-1)
    found = F.normalize(features(prediction), dim=-1)
    return (found - wanted).square().sum(-1).mean()


def normalised_patches(
    patches: Float[Tensor, "*batch tokens width"],
) -> Float[Tensor, "*batch tokens width"]:
    """Each patch at zero mean and unit variance: the target of MAE (arXiv 2111.06377)."""
    variance, mean = torch.var_mean(patches, dim=-1, keepdim=True)
    return (patches - mean) / (variance + 1e-6).sqrt()


def info_nce(
    a: Float[Tensor, "batch dim"],
    b: Float[Tensor, "batch dim"],
    temperature: float | Float[Tensor, ""] = 0.07,
) -> Float[Tensor, ""]:
    """Symmetric contrastive loss: a[i] belongs to b[i] and to no other row, by cosine similarity.

    van den Oord et al. 2018 (arXiv 1807.03748), symmetric as in CLIP (arXiv 2103.00020).
    """
    logits = F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T / temperature
    own = torch.arange(len(a), device=a.device)
    return 0.5 * (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own))


def gaussian_kl(
    mean: Float[Tensor, "*shape"], log_variance: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """KL(N(mean, variance) || N(0, 1)) in nats, elementwise."""
    return 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)
