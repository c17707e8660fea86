"""What an inverse-dynamics model learns from: pairs of moments of the labelled episodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import PartialState
from jaxtyping import Int64

from lam_models.command import UserError
from lam_models.policy.inverse import Moments, Pairs
from lam_models.stages.batches import to_device
from lam_models.stages.demonstrations import Demonstrations, Rows
from lam_models.stages.training.recipe import Recipe

_VALIDATION_ROWS = 512


@dataclass(frozen=True)
class PairData:
    """learnt, held: rows of `one` at which a pair begins. gap_steps: to the pair's end."""

    one: Demonstrations
    learnt: Int64[np.ndarray, " learnt"]
    held: Int64[np.ndarray, " held"]
    gap_steps: int

    @classmethod
    def of(
        cls, one: Demonstrations, learnt: list[int], held: list[int], gap_steps: int
    ) -> PairData:
        """Of these episodes. UserError where none is as long as the gap."""
        rows = [whole_pairs(one, episodes, gap_steps) for episodes in (learnt, held)]
        if not len(rows[0]):
            raise UserError(
                f"none of {len(learnt)} labelled episodes is longer than {gap_steps} steps"
            )
        return cls(one, rows[0], rows[1], gap_steps)

    def batch_at(self, step: int, recipe: Recipe, here: PartialState) -> Pairs:
        """This process's share of the batch of a step: each pair once an epoch."""
        places = np.arange(step * recipe.batch_size, (step + 1) * recipe.batch_size)
        epochs, numbers = np.divmod(places[here.process_index :: here.num_processes], self.count)
        for epoch in np.unique(epochs):
            order = np.random.Generator(np.random.Philox(key=[recipe.seed, int(epoch)]))
            of_epoch = epochs == epoch
            numbers[of_epoch] = order.permutation(self.count)[numbers[of_epoch]]
        return to_device(self.pairs(self.learnt[numbers]), here.device or "cpu")

    @property
    def count(self) -> int:
        return len(self.learnt)

    def validation_batches(self, recipe: Recipe, here: PartialState) -> Iterator[Pairs]:
        """The same pairs each time, spread over the episodes kept."""
        count = min(len(self.held), _VALIDATION_ROWS)
        rows = self.held[np.linspace(0, len(self.held) - 1, count).astype(np.int64)]
        for start in range(0, count, recipe.batch_size):
            batch = self.pairs(rows[start : start + recipe.batch_size])
            yield to_device(batch, here.device or "cpu")

    def pairs(self, rows: Rows) -> Pairs:
        chunk = self.one.chunks(rows, self.gap_steps, np.zeros(len(rows), np.int64))
        poses = torch.from_numpy(self.one.features[rows]) if self.one.has_state else None
        return Pairs(moments(self.one, rows, self.gap_steps), torch.from_numpy(chunk), poses)


def moments(one: Demonstrations, rows: Rows, gap_steps: int) -> Moments:
    """The images at these rows and a gap later; beyond its end an episode stands still."""
    later = np.minimum(rows + gap_steps * one.frames_a_step, one.lasts[rows])
    return torch.from_numpy(np.stack([one.pixels(rows), one.pixels(later)], axis=2))


def whole_pairs(one: Demonstrations, episodes: list[int], gap_steps: int) -> Rows:
    """The rows of these episodes at which a pair begins that ends within its episode."""
    spans = [one.caches[0].episodes[i] for i in episodes]
    found = [np.arange(s.start, s.stop - gap_steps * one.frames_a_step) for s in spans]
    return np.concatenate(found) if found else np.zeros(0, np.int64)
