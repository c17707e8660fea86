"""A moving average of a module's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class Ema:
    """average ← decay · average + (1 - decay) · weight after each step, of every parameter.

    Buffers are not averaged: most are counters or averages themselves. Works on sharded parameters
    as on plain ones.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._move = get_ema_multi_avg_fn(decay)
        self._parameters: list[Tensor] = list(module.parameters())
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Start from the weights as they are."""
        self._average = [p.detach().clone() for p in self._parameters]

    @torch.no_grad()
    def update(self) -> None:
        self._move(self._average, self._parameters, 0)

    @torch.no_grad()
    def swap(self) -> None:
        """The average into the module and the weights here; a second call swaps them back."""
        for parameter, average in zip(self._parameters, self._average, strict=True):
            weight = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(weight)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module holds the average inside the block."""
        self.swap()
        try:
            yield
        finally:
            self.swap()
