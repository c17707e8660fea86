"""What every read-out of a policy shares: from the backbone's embedding to a chunk of actions.

A chunk is one tensor [batch steps 6 + latent]: in each step the end-effector delta (translation m,
rotation vector rad, as geometry.apply_delta takes it), then the hand latent, a unit vector.
The condition is the backbone's embedding, tokens or one vector.

A read-out draws no numbers in `read`: all chance comes in as `noise`, of one shape for all. So
`read` is a pure function of tensors whose shapes stand still, and can be compiled or captured.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional

from lam_models.nn.transformer import CrossBlock

DELTA = 6
_LEAST_DEVIATION = 1e-4  # m or rad: a number that never changes is not blown up.

Condition = Float[Tensor, "batch *tokens width"]
Chunk = Float[Tensor, "batch steps numbers"]
Loss = tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]


@runtime_checkable
class ReadOut(Protocol):
    """A module that learns chunks and reads them out.

    shape: steps and numbers a step of its chunks.
    """

    @property
    def shape(self) -> tuple[int, int]: ...

    def loss(
        self, condition: Condition, chunk: Chunk, generator: Generator | None = None
    ) -> Loss: ...

    def read(self, condition: Condition, noise: Chunk, steps: int | None = None) -> Chunk:
        """`noise` is standard normal, one sample per row; one that knows no chance ignores it.
        `steps`: how often one that iterates runs its network; None is what its Config says."""
        ...


@torch.no_grad()
def sample(
    read_out: ReadOut,
    condition: Condition,
    steps: int | None = None,
    generator: Generator | None = None,
) -> Chunk:
    """One chunk for each row of the condition; the same generator state gives the same chunks."""
    return read_out.read(condition, draw_noise(read_out, condition, generator), steps)


def draw_noise(
    read_out: ReadOut, condition: Condition, generator: Generator | None = None
) -> Chunk:
    """Standard normal numbers for `read`, drawn on the generator's device."""
    device = condition.device if generator is None else generator.device
    noise = torch.randn(len(condition), *read_out.shape, generator=generator, device=device)
    return noise.to(condition.device)


class Units(nn.Module):
    """Between chunks and the numbers that networks work with, each of about unit variance.

    Deltas are standardised; latents are lengthened to `radius`, the root of their dimension.
    The statistics are buffers: they are saved with the weights.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.radius = math.sqrt(latent_dim)
        self.register_buffer("mean", torch.zeros(DELTA))
        self.register_buffer("deviation", torch.ones(DELTA))

    def standardise(self, mean: Float[Tensor, "6"], deviation: Float[Tensor, "6"]) -> None:
        """Set the statistics of the deltas, m and rad a step."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.clamp_min(_LEAST_DEVIATION))

    def enter(self, chunk: Chunk) -> Chunk:
        delta, hand = chunk[..., :DELTA], chunk[..., DELTA:]
        return torch.cat([(delta - self.mean) / self.deviation, hand * self.radius], dim=-1)

    def leave(self, numbers: Chunk) -> Chunk:
        """The latents come back to the unit sphere."""
        delta, hand = numbers[..., :DELTA], numbers[..., DELTA:]
        delta = delta * self.deviation + self.mean
        return torch.cat([delta, functional.normalize(hand, dim=-1)], dim=-1)

    def inside(self, numbers: Chunk) -> Chunk:
        """Latents no longer than those of chunks: no mean of points on a sphere lies outside it."""
        delta, hand = numbers[..., :DELTA], numbers[..., DELTA:]
        length = hand.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        return torch.cat([delta, hand * (self.radius / length).clamp_max(1.0)], dim=-1)


class Slots(nn.Module):
    """One slot for each step of a chunk. All read the condition at once, and once only."""

    def __init__(self, steps: int, condition_width: int, width: int, heads: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(steps, width))
        self.block = CrossBlock(width, heads, context_width=condition_width)

    def forward(self, condition: Condition) -> Float[Tensor, "batch steps slot_width"]:
        tokens = condition[:, None] if condition.ndim == 2 else condition
        return self.block(self.queries.expand(len(tokens), -1, -1), tokens)


def errors(prediction: Chunk, target: Chunk) -> dict[str, Float[Tensor, ""]]:
    """For the log: root mean square of what is missed, in the networks' units, by part."""
    missed = (prediction - target).detach().square()
    return {
        "delta_error": missed[..., :DELTA].mean().sqrt(),
        "hand_error": missed[..., DELTA:].mean().sqrt(),
    }
