"""Actions as words: every number of a chunk falls into one of a row of bins, by cross entropy.

Papers: Kim et al. 2024, OpenVLA (arXiv 2406.09246), 256 bins a number; Ye et al. 2024, LAPA
(2410.11758), bins of equal counts. Departures: all numbers of all steps are read in one pass
(OpenVLA-OFT, 2502.19645, calls it parallel decoding), and hand latents are binned too. A bin is
read as the mean of what fell into it, so that a number which is nearly always 0 is read as 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Generator, Tensor, nn
from torch.nn import functional

from lam_models.nn.transformer import Block
from lam_models.policy.readouts import DELTA, Chunk, Condition, Loss, Slots, Units, errors


@dataclass(frozen=True)
class Config:
    """As regression's, and how many bins a number has."""

    condition_width: int = 256
    chunk_steps: int = 16
    latent_dim: int = 16
    width: int = 256
    depth: int = 8
    heads: int = 4
    bins: int = 64

    @classmethod
    def tiny(cls) -> Config:
        return cls(condition_width=32, chunk_steps=8, width=64, depth=2, heads=2, bins=16)


class Bins(nn.Module):
    """A read-out (readouts.py) that chooses among bins.

    edges, centres: in the networks' units, number by number. Until `learn_bins` has seen data, bins
    share a normal distribution equally.
    """

    Config = Config
    edges: Tensor
    centres: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        numbers = DELTA + config.latent_dim
        self.units = Units(config.latent_dim)
        self.slots = Slots(config.chunk_steps, config.condition_width, config.width, config.heads)
        self.blocks = nn.Sequential(
            *(Block(config.width, config.heads) for _ in range(config.depth)),
            nn.LayerNorm(config.width),
            nn.Linear(config.width, numbers * config.bins),
        )
        normal = torch.distributions.Normal(0.0, 1.0)
        shares = torch.arange(1, 2 * config.bins) / (2 * config.bins)
        quantiles = normal.icdf(shares)
        self.register_buffer("edges", quantiles[1::2].repeat(numbers, 1))
        self.register_buffer("centres", quantiles[::2].repeat(numbers, 1))

    @property
    def shape(self) -> tuple[int, int]:
        return self.config.chunk_steps, DELTA + self.config.latent_dim

    def learn_bins(self, actions: Float32[np.ndarray, "rows numbers"]) -> None:
        """Bins of equal counts, each read as its mean; after `units` were standardised."""
        rows = torch.from_numpy(actions).to(self.edges)
        values = self.units.enter(rows[None])[0].double()
        count = self.config.bins
        shares = torch.arange(1, count, dtype=torch.float64) / count
        # NumPy: torch's quantile refuses many rows.
        edges = np.quantile(values.numpy(), shares.numpy(), axis=0).T
        self.edges.copy_(torch.from_numpy(edges))
        index = self._index(values.float())
        for number, (of_number, column) in enumerate(zip(index.T, values.T, strict=True)):
            sums = torch.zeros(count, dtype=torch.float64).index_add_(0, of_number, column)
            held = torch.bincount(of_number, minlength=count)
            middle = torch.from_numpy(np.quantile(column.numpy(), (np.arange(count) + 0.5) / count))
            self.centres[number] = torch.where(held > 0, sums / held.clamp_min(1), middle)

    def loss(self, condition: Condition, chunk: Chunk, generator: Generator | None = None) -> Loss:
        """Cross entropy, of delta and of hand alike. Draws nothing."""
        target = self.units.enter(chunk)
        logits = self._logits(condition)
        wrong = functional.cross_entropy(
            logits.flatten(0, 2), self._index(target).flatten(), reduction="none"
        ).view(target.shape)
        loss = (wrong[..., :DELTA].mean() + wrong[..., DELTA:].mean()) / 2.0
        return loss, errors(self._read(logits), target)

    def read(self, condition: Condition, noise: Chunk, steps: int | None = None) -> Chunk:
        """One pass, whatever the noise and the steps."""
        return self.units.leave(self._read(self._logits(condition)))

    def _logits(self, condition: Condition) -> Float[Tensor, "batch steps numbers bins"]:
        return self.blocks(self.slots(condition)).unflatten(-1, (-1, self.config.bins))

    def _read(self, logits: Float[Tensor, "batch steps numbers bins"]) -> Chunk:
        chosen = logits.argmax(-1)
        return torch.gather(self.centres.expand(*chosen.shape, -1), -1, chosen[..., None])[..., 0]

    def _index(self, numbers: Float[Tensor, "*rows numbers"]) -> Int64[Tensor, "*rows numbers"]:
        return (numbers[..., None] > self.edges).sum(-1)
