"""Perceptrons over feature vectors.

`DenseSkipMLP` is the inverse and forward dynamics head of LAOM (Nikulin et al. 2025, arXiv
2502.00379): its input is offered again before each block, so that a wide latent does not have to
carry it through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn


def mlp(
    in_width: int,
    hidden: Sequence[int],
    out_width: int,
    *,
    activation: Callable[[], nn.Module] = nn.ReLU,
) -> nn.Sequential:
    """Linear layers with an activation after each but the last."""
    layers: list[nn.Module] = []
    for before, after in pairwise((in_width, *hidden)):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers, nn.Linear((in_width, *hidden)[-1], out_width))


class DenseSkipMLP(nn.Module):
    """Residual blocks of `width`, each reading the one before and the skip vector anew.

    first_width: width of what only the first block reads; 0 for nothing. LAOM's inverse model
        skips both embeddings and has no first; its forward model skips the latent and reads the
        embedding first.
    """

    def __init__(
        self,
        skip_width: int,
        out_width: int,
        *,
        width: int,
        first_width: int = 0,
        blocks: int = 3,
        expand: int = 4,
    ) -> None:
        super().__init__()
        befores = [first_width, *[width] * (blocks - 1)]
        self.inputs = nn.ModuleList(nn.Linear(before + skip_width, width) for before in befores)
        self.blocks = nn.ModuleList(_ResidualBlock(width, expand) for _ in range(blocks))
        self.output = nn.Linear(width, out_width)

    def forward(
        self,
        skip: Float[Tensor, "*batch skip_width"],
        first: Float[Tensor, "*batch first_width"] | None = None,
    ) -> Float[Tensor, "*batch out_width"]:
        x = skip.new_zeros(*skip.shape[:-1], 0) if first is None else first
        for read, block in zip(self.inputs, self.blocks, strict=True):
            x = block(read(torch.cat([x, skip], dim=-1)))
        return self.output(x)


class _ResidualBlock(nn.Module):
    def __init__(self, width: int, expand: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(width, expand * width), nn.ReLU6(), nn.Linear(expand * width, width)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        return self.norm(x + self.body(x))


def orthogonal_init(module: nn.Module) -> None:
    """For `network.apply`: orthogonal weights and zero biases, as LAOM starts all its layers."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.orthogonal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def xavier_init(module: nn.Module) -> None:
    """For `network.apply`: Glorot-uniform weights and zero biases, as the ViTs in JAX start."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
