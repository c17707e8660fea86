"""Where the hand goes next: a place read from the slots, and told on as the way to it.

Papers: James and Davison 2022, Q-attention (arXiv 2105.14829): the moments at which the hand opens
or closes are what a demonstration is about. Shi et al. 2023, AWE (2307.14326): places far ahead
make imitation learnable where single steps, each with a disturbance of its own, hardly differ.
The place is in the base frame, in which a camera that stands still sees it; the way to it begins
at the hand, and from it motion follows.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

Places = Float[Tensor, "rows 3"]
_UNIT_M = 0.05  # An error of so much costs as much as a standard deviation of all actions.
_LEAST_SCALE_M = 0.02


class Waypoint(nn.Module):
    """mean, scale: of the places [m]; buffers, set once from the data."""

    mean: Tensor
    scale: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.place = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 3))
        self.token = nn.Sequential(nn.Linear(3, width), nn.GELU(), nn.Linear(width, width))
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("scale", torch.full((3,), 0.1))

    def standardise(self, mean: Float[Tensor, "3"], deviation: Float[Tensor, "3"]) -> None:
        """Set the statistics of the places."""
        self.mean.copy_(mean)
        self.scale.copy_(deviation.clamp_min(_LEAST_SCALE_M))

    def forward(
        self, slots: Float[Tensor, "rows slots width"], position: Places
    ) -> tuple[Float[Tensor, "rows more width"], Places]:
        """The slots with one more that tells the way from `position` [m], and the place [m]."""
        place = self.place(slots[:, 0]) * self.scale + self.mean
        way = self.token((place - position) / _UNIT_M)
        return torch.cat([slots, way[:, None]], dim=1), place


def missed(found: Places, wanted: Places) -> Float[Tensor, ""]:
    """The loss: mean absolute error, in units of 5 cm."""
    return (found.float() - wanted).abs().mean() / _UNIT_M
