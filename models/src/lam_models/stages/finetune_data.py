"""What a policy is finetuned on: new episodes, earlier ones beside them, some frames more often.

Papers: Mandlekar et al. 2020 (arXiv 2012.06733): frames at which a person took over from the policy
show what it lacks, and are drawn more often. Replay of earlier data keeps earlier tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64

from lam_models.command import UserError
from lam_models.data.bags.actions import TELEOP
from lam_models.data.lerobot_read import Dataset
from lam_models.data.split import split_episodes
from lam_models.stages.demonstrations import Demonstrations, Wanted, open_demonstrations
from lam_models.stages.policy_data import Drawn

SOURCE = "command.source"
_POLICY = 2


class Weighted(Drawn):
    """Rows of several demonstrations, each drawn as often as its weight says.

    An epoch has as many draws as the weights add up to: of a row whose weight is 2.5, two or three.
    A pure function of the step, like Drawn.
    """

    def __init__(
        self,
        demonstrations: Sequence[Demonstrations],
        rows: Sequence[np.ndarray],
        weights: Sequence[np.ndarray],
    ):
        super().__init__(demonstrations, rows)
        self._ends = np.cumsum(np.concatenate(weights))
        self.epoch = max(1, round(float(self._ends[-1])))

    def _only(self, kept: Bool[np.ndarray, " rows"]) -> Drawn:
        weights = np.diff(self._ends, prepend=0.0)[kept]
        less = super()._only(kept)
        assert isinstance(less, Weighted)
        less._ends = np.cumsum(weights)
        less.epoch = max(1, round(float(weights.sum())))
        return less

    def at(self, step: int, size: int, seed: int, rank: int, ranks: int) -> Int64[np.ndarray, " n"]:
        """As Drawn.at."""
        places = np.arange(step * size, (step + 1) * size)[rank::ranks]
        epochs, numbers = np.divmod(places, self.epoch)
        for epoch in np.unique(epochs):
            random = np.random.Generator(np.random.Philox(key=[seed, int(epoch)]))
            order, first = random.permutation(self.epoch), random.random()
            of_epoch = epochs == epoch
            # Points at equal distances over all weights, which no row's share is between.
            points = (order[numbers[of_epoch]] + first) * (self._ends[-1] / self.epoch)
            numbers[of_epoch] = np.searchsorted(self._ends, points, side="right")
        return np.minimum(numbers, len(self) - 1)


@dataclass(frozen=True)
class Lessons:
    """learnt: new and earlier rows together. held_new, held_earlier: of episodes kept.

    interventions: frames of the new episodes at which a person had taken over, of those learnt.
    """

    learnt: Weighted
    held_new: Drawn
    held_earlier: Drawn | None
    new_frames: int
    interventions: int
    hashes: tuple[str, ...]


def open_lessons(
    data: Sequence[Path],
    replay: Sequence[Path],
    wanted: Wanted,
    *,
    replay_share: float,
    intervention_weight: float,
    validation: float,
    seed: int,
) -> Lessons:
    """Read all datasets. UserError where one lacks what is wanted, or has too few episodes."""
    new = [_open(path, wanted) for path in data]
    earlier = [_open(path, wanted) for path in replay]
    parts = [_split(path, one, validation, seed) for path, one in zip(data, new, strict=True)]
    old = [_split(path, one, validation, seed) for path, one in zip(replay, earlier, strict=True)]
    taken = [took_over(path, one) for path, one in zip(data, new, strict=True)]
    weights = [
        np.where(over[rows], intervention_weight, 1.0)
        for over, (rows, _) in zip(taken, parts, strict=True)
    ]
    if earlier:
        of_new, rows_old = sum(w.sum() for w in weights), sum(len(rows) for rows, _ in old)
        each = replay_share / (1.0 - replay_share) * of_new / rows_old
        weights += [np.full(len(rows), each) for rows, _ in old]
    everything = [*new, *earlier]
    return Lessons(
        learnt=Weighted(everything, [rows for rows, _ in [*parts, *old]], weights),
        held_new=Drawn(new, [held for _, held in parts]),
        held_earlier=Drawn(earlier, [held for _, held in old]) if earlier else None,
        new_frames=sum(len(rows) for rows, _ in parts),
        interventions=sum(
            int(over[rows].sum()) for over, (rows, _) in zip(taken, parts, strict=True)
        ),
        hashes=tuple(one.content_hash for one in everything),
    )


def _open(path: Path, wanted: Wanted) -> Demonstrations:
    one = open_demonstrations(path, wanted)
    if not one.has_state:
        raise UserError(f"{path} has no poses of the end effector, which a policy reads")
    return one


def _split(
    path: Path, one: Demonstrations, validation: float, seed: int
) -> tuple[Int64[np.ndarray, " _"], Int64[np.ndarray, " _"]]:
    """Rows to learn from, and rows of the episodes kept."""
    words = one.caches[0].instructions
    if len(words) < 2:
        raise UserError(f"{path} has {len(words)} episode: one to learn from, one to judge by")
    learnt, held = split_episodes(words, validation, seed)
    return one.rows_of([int(i) for i in learnt]), one.rows_of([int(i) for i in held])


def took_over(path: Path, one: Demonstrations) -> Bool[np.ndarray, " rows"]:
    """Rows at which a person commanded in an episode that a policy had commanded before."""
    out = np.zeros(len(one.episode_of), bool)
    dataset = Dataset.open(path)
    if SOURCE not in dataset.schema.columns:
        return out
    source = np.asarray(dataset.column(SOURCE)).reshape(-1)
    starts = {episode.index: episode.start for episode in dataset.episodes}
    for episode in one.caches[0].episodes:
        first = starts[episode.index]
        here = source[first : first + episode.length]
        before = np.cumsum(here == _POLICY)
        out[episode.start : episode.stop] = (here == TELEOP) & (before > 0)
    return out
