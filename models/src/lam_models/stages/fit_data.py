"""The clips that a latent-action model trains on, those kept for validation, and the labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any, Generic, TypeVar

import numpy as np
from accelerate import PartialState

from lam_models.command import UserError
from lam_models.data.cache import open_cache
from lam_models.data.clips import ClipSampler, join
from lam_models.data.prefetch import Prefetch
from lam_models.data.sources import refuse, report_left_out
from lam_models.data.split import split_episodes
from lam_models.stages.batches import action_statistics, to_batch
from lam_models.stages.fit_settings import FitSettings
from lam_models.stages.training.recipe import Recipe
from lam_models.systems.roles import ClipBatch

Batch = TypeVar("Batch")

# Validation reads the same clips each time, spread over the episodes kept for it.
_VALIDATION_CLIPS = 256
_CLIPS_FOR_STATISTICS = 2048
# Of each batch, where a system learns from clips without labels too: LAOM's authors take a fifth.
LABELLED_PART = 0.25


class Ahead(Generic[Batch]):
    """`batch_at`, with the batches of the steps to come in the making by threads."""

    def __init__(self, batch_at: Callable[[int], Batch]) -> None:
        self._batch_at, self._next = batch_at, 0
        self._made: Prefetch[Batch] | None = None

    def __call__(self, step: int) -> Batch:
        if self._made is None:
            self._made, self._next = Prefetch(self._batch_at, step), step
        if step != self._next:  # one more time, to be looked at
            return self._batch_at(step)
        self._next += 1
        return next(self._made)

    def __enter__(self) -> Ahead[Batch]:
        return self

    def __exit__(self, *error: object) -> None:
        if self._made is not None:
            self._made.close()


@dataclass(frozen=True)
class FitData:
    """action_stats: "mean" and "std" of each column, None where no actions may be used.

    labelled, labels: the episodes whose actions may be used, and their clips.
    labelled_part: the part of every batch that is drawn from those. A few labels among many clips
        would else be seen too seldom to be learnt from.
    """

    training: ClipSampler
    validation: ClipSampler | None
    camera: str
    content_hash: str
    action_stats: Mapping[str, np.ndarray] | None
    labelled: tuple[int, ...]
    labels: ClipSampler | None = None
    labelled_part: float = 0.0

    def batch_at(self, step: int, recipe: Recipe, here: PartialState) -> ClipBatch:
        """This process's share of the batch of a step."""
        rank, ranks = here.process_index, here.num_processes
        drawn = ranks * round(self.labelled_part * recipe.batch_size / ranks)
        parts = [
            sampler.batch_at(step, size, recipe.seed, rank, ranks)
            for sampler, size in ((self.training, recipe.batch_size - drawn), (self.labels, drawn))
            if sampler is not None and size
        ]
        clips = reduce(join, parts)
        return to_batch(clips, self.action_stats, here.device or "cpu", self.labelled)

    def validation_batches(self, recipe: Recipe, here: PartialState) -> Iterator[ClipBatch]:
        """All actions count as labelled here: they are compared with, not learnt from."""
        if self.validation is None:
            return
        for indices in _spread(len(self.validation), _VALIDATION_CLIPS, recipe.batch_size):
            yield to_batch(self.validation.clips(indices), self.action_stats, here.device or "cpu")

    def describe(self) -> str:
        held = 0 if self.validation is None else len(self.validation)
        labels = f", actions of {len(self.labelled)} episodes" if self.labelled else ""
        return f"{len(self.training)} clips and {held} for validation{labels}"


def open_fit_data(settings: FitSettings, config: Any, *, needs_actions: bool) -> FitData:
    """Read the dataset, once, into its cache of frames, and split it by episode."""
    cache = open_cache(
        settings.dataset,
        camera=settings.camera,
        size=config.image_size,
        kind=settings.cache,
        strict=settings.strict,
    )
    parts = split_episodes(cache.instructions, settings.validation, settings.seed)
    training, held = ([int(i) for i in part] for part in parts)
    share = 1.0 if needs_actions and settings.labels is None else settings.labels

    def sampler(episodes: list[int]) -> ClipSampler:
        return ClipSampler(cache, config.frames, config.gap_s, config.history, episodes)

    labelled, labels, stats = [], None, None
    if share is not None:
        labelled = _labelled(training, share, settings.seed)
        labels = sampler(labelled)
        stats = _statistics(labels, settings)
    data = FitData(
        training=sampler(training),
        validation=sampler(held) if held else None,
        camera=cache.camera,
        content_hash=cache.content_hash,
        action_stats=stats,
        labelled=tuple(labelled),
        labels=labels,
        labelled_part=0.0 if labels is None else 1.0 if needs_actions else LABELLED_PART,
    )
    too_short = data.training.too_short + (data.validation.too_short if data.validation else ())
    if settings.strict:
        refuse(too_short, settings.dataset)
    report_left_out(settings.dataset, too_short, len(cache.episodes))
    return data


def _labelled(training: list[int], share: float, seed: int) -> list[int]:
    """A share of the episodes, at least one."""
    drawn = np.random.default_rng(seed).permutation(training)
    return sorted(int(i) for i in drawn[: max(1, round(share * len(drawn)))])


def _statistics(clips: ClipSampler, settings: FitSettings) -> dict[str, np.ndarray]:
    """Of the actions over a gap, in the labelled episodes alone."""
    batches = _spread(len(clips), _CLIPS_FOR_STATISTICS, 256)
    actions = [clips.clips(indices).actions for indices in batches]
    if any(part is None for part in actions):
        raise UserError(f"{settings.dataset} has no actions: labels cannot be used")
    return action_statistics(np.concatenate([part for part in actions if part is not None]))


def _spread(count: int, most: int, size: int) -> list[np.ndarray]:
    """At most `most` of the indices below `count`, evenly spread, `size` at a time."""
    indices = np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
    return [indices[i : i + size] for i in range(0, len(indices), size)]
