"""The batches a policy learns from: labelled episodes first, then video with motion latents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from jaxtyping import Bool, Int64

from lam_models.data.split import evenly_spread, split_episodes
from lam_models.policy.inputs import HELD_STEPS, Examples
from lam_models.stages.batches import to_device
from lam_models.stages.demonstrations import Demonstrations
from lam_models.stages.training.recipe import Recipe

_VALIDATION_ROWS = 512
# Keeps the delays' random numbers apart from others of the same seed.
_DELAYS = 1


class Drawn:
    """Rows of several demonstrations, each once an epoch, in an order of its own.

    A pure function of the step: a resumed run sees what an unbroken one would.
    """

    def __init__(self, demonstrations: Sequence[Demonstrations], rows: Sequence[np.ndarray]):
        self.demonstrations = tuple(demonstrations)
        self._to_waypoints = all(one.waypoints is not None for one in demonstrations)
        self._which = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
        self._rows = np.concatenate([np.zeros(0, np.int64), *rows])

    def __len__(self) -> int:
        return len(self._rows)

    def showing_places(self) -> Drawn:
        """Of these rows the ones at which a camera sees a place that the hand goes to."""
        shown = np.zeros(len(self), bool)
        for index, one in enumerate(self.demonstrations):
            mine = self._which == index
            if one.waypoints is not None:
                shown[mine] = one.places(self._rows[mine])[1].any(1)
        return self._only(shown)

    def _only(self, kept: Bool[np.ndarray, " rows"]) -> Drawn:
        less = copy(self)
        less._which, less._rows = self._which[kept], self._rows[kept]
        return less

    def gather(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """Of one column of each of the demonstrations, the rows that are drawn."""
        parts = [column[self._rows[self._which == i]] for i, column in enumerate(columns)]
        return np.concatenate(parts) if parts else np.zeros((0, 1))

    def at(self, step: int, size: int, seed: int, rank: int, ranks: int) -> Int64[np.ndarray, " n"]:
        """Numbers of the rows of a step's batch of `size`, of which a rank has every ranks-th."""
        places = np.arange(step * size, (step + 1) * size)[rank::ranks]
        epochs, numbers = np.divmod(places, len(self))
        for epoch in np.unique(epochs):
            order = np.random.Generator(np.random.Philox(key=[seed, int(epoch)]))
            of_epoch = epochs == epoch
            numbers[of_epoch] = order.permutation(len(self))[numbers[of_epoch]]
        return numbers

    def examples(
        self,
        numbers: Int64[np.ndarray, " n"],
        *,
        steps: int = 0,
        delays: Int64[np.ndarray, " n"] | None = None,
        motion: bool = False,
    ) -> Examples:
        """steps: of the chunks, 0 for none. delays: of each row, None for none."""
        delays = np.zeros(len(numbers), np.int64) if delays is None else delays
        which, rows = self._which[numbers], self._rows[numbers]
        parts, order = [], []
        for index in np.unique(which):
            mine = np.flatnonzero(which == index)
            order.append(mine)
            one = self.demonstrations[index]
            made = _examples(one, rows[mine], delays[mine], steps, motion)
            if self._to_waypoints:
                poses, known = (torch.from_numpy(array) for array in one.places(rows[mine]))
                made = replace(made, places=poses, places_known=known)
            parts.append(made)
        back = np.argsort(np.concatenate(order))
        return _reordered(_joined(parts), torch.from_numpy(back))


def _examples(
    one: Demonstrations, rows: np.ndarray, delays: np.ndarray, steps: int, motion: bool
) -> Examples:
    codes = values = None
    if motion and one.motion is not None:
        if one.motion.codes is not None:
            codes = torch.from_numpy(one.motion.codes[rows])
        else:
            values = torch.from_numpy(one.motion.values[rows])
    return Examples(
        pixels=torch.from_numpy(one.pixels(rows)),
        state=torch.from_numpy(one.features[rows]),
        words=torch.from_numpy(one.words[one.episode_of[rows]]),
        delay=torch.from_numpy(delays.astype(np.float32)),
        held=None if one.actions is None else torch.from_numpy(one.held(rows, HELD_STEPS)),
        chunk=torch.from_numpy(one.chunks(rows, steps, delays)) if steps else None,
        codes=codes,
        values=values,
    )


def _joined(parts: Sequence[Examples]) -> Examples:
    """One after the other; labels that a part lacks are lacking at the end, or the beginning."""
    fields: dict[str, Any] = {}
    for name in vars(parts[0]):
        there = [getattr(part, name) for part in parts if getattr(part, name) is not None]
        fields[name] = torch.cat(there) if there else None
    return Examples(**fields)


def _reordered(batch: Examples, order: torch.Tensor) -> Examples:
    fields: dict[str, Any] = {k: None if v is None else v[order] for k, v in vars(batch).items()}
    return Examples(**fields)


@dataclass(frozen=True)
class PolicyData:
    """labelled, videos: to learn from, either may be None; held: for validation.

    video_share: of each batch, where there are both. greatest_delay: in steps.
    showing: rows that tell of places alone, each a batch more a step. In most rows of
        demonstrations a place is passed or hidden, and they teach few of what a camera shows.
    """

    labelled: Drawn | None
    videos: Drawn | None
    held: Drawn | None
    chunk_steps: int
    greatest_delay: int
    video_share: float
    showing: tuple[Drawn, ...] = ()

    def batch_at(self, step: int, recipe: Recipe, here: PartialState) -> Examples:
        """This process's share of the batch of a step."""
        rank, ranks, seed = here.process_index, here.num_processes, recipe.seed
        of_videos = 0
        if self.videos is not None:
            share = 1.0 if self.labelled is None else self.video_share
            of_videos = ranks * max(1, round(share * recipe.batch_size / ranks))
        parts = []
        if self.labelled is not None:
            size = max(ranks, recipe.batch_size - of_videos)
            numbers = self.labelled.at(step, size, seed, rank, ranks)
            chance = np.random.default_rng([seed, step, rank, _DELAYS])
            delays = chance.integers(0, self.greatest_delay + 1, len(numbers))
            motion = self.videos is None or self.labelled.demonstrations[0].motion is not None
            parts.append(
                self.labelled.examples(
                    numbers, steps=self.chunk_steps, delays=delays, motion=motion and not of_videos
                )
            )
        if self.videos is not None:
            numbers = self.videos.at(step, of_videos, seed, rank, ranks)
            parts.append(self.videos.examples(numbers, motion=True))
        batch = _joined(parts)
        if self.showing:
            size = max(ranks, recipe.batch_size // len(self.showing))
            shown = [one.examples(one.at(step, size, seed, rank, ranks)) for one in self.showing]
            batch = replace(batch, showing=_joined(shown))
        return to_device(batch, here.device or "cpu")

    def validation_batches(self, recipe: Recipe, here: PartialState) -> Iterator[Examples]:
        """The same rows each time, spread over the episodes kept."""
        if self.held is None or not len(self.held):
            return
        count = min(len(self.held), _VALIDATION_ROWS)
        rows = np.linspace(0, len(self.held) - 1, count).astype(np.int64)
        steps = self.chunk_steps if self.labelled is not None else 0
        for start in range(0, count, recipe.batch_size):
            part = rows[start : start + recipe.batch_size]
            batch = self.held.examples(part, steps=steps, motion=not steps)
            yield to_device(batch, here.device or "cpu")

    def describe(self) -> str:
        labelled = 0 if self.labelled is None else len(self.labelled)
        videos = 0 if self.videos is None else len(self.videos)
        held = 0 if self.held is None else len(self.held)
        return f"{labelled} labelled frames, {videos} of video, {held} for validation"


def split(
    demonstrations: Sequence[Demonstrations], episodes: int, validation: float, seed: int
) -> tuple[Drawn | None, Drawn | None]:
    """Rows to learn from and rows kept, of `episodes` of each (0: all), evenly spread over it."""
    if not demonstrations:
        return None, None
    learnt, kept = [], []
    for one in demonstrations:
        count = len(one.caches[0].episodes)
        used = evenly_spread(count, episodes)
        words = [one.caches[0].instructions[i] for i in used]
        training, held = split_episodes(words, validation, seed)
        learnt.append(one.rows_of([int(i) for i in used[training]]))
        kept.append(one.rows_of([int(i) for i in used[held]]))
    return Drawn(demonstrations, learnt), Drawn(demonstrations, kept)
