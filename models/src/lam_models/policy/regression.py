"""The plain read-out beside which all others are judged: the chunk in one forward pass, L1 loss.

Papers: Zhao et al. 2023, ACT (arXiv 2304.13705), for a query a step that are all decoded at once;
Kim et al. 2025, OpenVLA-OFT (2502.19645), which finds L1 regression as good as diffusion on
demonstrations of one way. Where there are several ways it gives the median, number by number.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional

from lam_models.nn.transformer import Block
from lam_models.policy.readouts import DELTA, Chunk, Condition, Loss, Slots, Units, errors


@dataclass(frozen=True)
class Config:
    """As large as the denoiser of diffusion.py, for comparison."""

    condition_width: int = 256
    chunk_steps: int = 16
    latent_dim: int = 16
    width: int = 256
    depth: int = 8
    heads: int = 4

    @classmethod
    def tiny(cls) -> Config:
        return cls(condition_width=32, chunk_steps=8, width=32, depth=2, heads=2)


class Regression(nn.Module):
    """A read-out (readouts.py) that knows one answer."""

    Config = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.units = Units(config.latent_dim)
        self.slots = Slots(config.chunk_steps, config.condition_width, config.width, config.heads)
        self.blocks = nn.Sequential(
            *(Block(config.width, config.heads) for _ in range(config.depth)),
            nn.LayerNorm(config.width),
            nn.Linear(config.width, DELTA + config.latent_dim),
        )

    @property
    def shape(self) -> tuple[int, int]:
        return self.config.chunk_steps, DELTA + self.config.latent_dim

    def loss(self, condition: Condition, chunk: Chunk, generator: Generator | None = None) -> Loss:
        """Mean absolute error, in the networks' units: of deltas, of the way they make, of hands.

        The three count alike. The way says where a motion leads, which single steps, each with an
        error of its own, say less clearly. Draws nothing.
        """
        target = self.units.enter(chunk)
        found = self.blocks(self.slots(condition))
        steps, wanted_steps = found[..., :DELTA], target[..., :DELTA]
        pairs = (
            (steps, wanted_steps),
            (way(steps), way(wanted_steps)),
            (found[..., DELTA:], target[..., DELTA:]),
        )
        loss = torch.stack([functional.l1_loss(x, y) for x, y in pairs]).mean()
        return loss, errors(found, target)

    def read(self, condition: Condition, noise: Chunk, steps: int | None = None) -> Chunk:
        """One pass, whatever the noise and the steps."""
        return self.units.leave(self.blocks(self.slots(condition)))


def way(deltas: Float[Tensor, "batch steps 6"]) -> Float[Tensor, "batch steps 6"]:
    """What steps add up to so far; of independent steps of unit variance it has unit variance."""
    count = torch.arange(1, deltas.shape[1] + 1, device=deltas.device, dtype=deltas.dtype)
    return deltas.cumsum(1) / count.sqrt()[:, None]
