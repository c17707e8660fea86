"""The variational bottleneck: a Gaussian a token, pulled towards the standard normal.

Papers: Kingma & Welling 2013 (arXiv 1312.6114); beta of Higgins et al. 2017. AdaWorld uses
beta 2e-4, LASER a Gaussian over raw actions. A tiny beta (DreamDojo's 1e-6) makes this a plain
autoencoder: watch "kl_nats" and "active_share".
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lam_models.nn.losses import gaussian_kl
from lam_models.nn.quantise import Quantized

# Variances outside exp(-+20) are no longer told apart from zero or infinity by float32 sampling.
_MAX_LOG_VARIANCE = 20.0
_ACTIVE_NATS = 0.01


class Gaussian(nn.Module):
    """Reads mean and log variance side by side (in_dim = 2 dim); samples in training only.

    loss: beta times the KL divergence in nats, summed over dim, averaged over tokens and batch.
    """

    num_codes = 0

    def __init__(self, dim: int, *, beta: float) -> None:
        super().__init__()
        self.in_dim, self.dim = 2 * dim, dim
        self.beta = beta

    def forward(self, x: Float[Tensor, "*batch tokens {self.in_dim}"]) -> Quantized:
        mean, log_variance = x.float().chunk(2, dim=-1)
        log_variance = log_variance.clamp(-_MAX_LOG_VARIANCE, _MAX_LOG_VARIANCE)
        values = mean
        if self.training:
            values = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        kl = gaussian_kl(mean, log_variance)
        kl_of_dim = kl.detach().flatten(0, -2).mean(0)
        stats = {
            "kl_nats": kl_of_dim.sum(),
            "active_share": (kl_of_dim > _ACTIVE_NATS).float().mean(),
        }
        return Quantized(values.to(x.dtype), None, self.beta * kl.sum(-1).mean(), stats)
