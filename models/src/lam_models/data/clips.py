"""Clips of a cache: frames a stated gap of seconds apart, whatever the rate of the video.

Batches are a pure function of seed and step, so a resumed run sees what an unbroken one would.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from lam_models.command import UserError
from lam_models.data.cache import FrameCache
from lam_models.data.gap_actions import compose
from lam_models.data.sources import ACTION, ENVIRONMENT, STATE, Skipped

# 29.97 frames a second count as 30.
_RATE_TOLERANCE = 0.01

Indices = Int64[np.ndarray, " clips"]


@dataclass(frozen=True)
class Clips:
    """A stack of clips.

    actions: the action of each whole gap, composed as gap_actions.compose says.
    episodes: position in the cache. starts: first frame of each clip, counted in its episode.
    instructions: one a clip, or none at all.
    """

    frames: UInt8[np.ndarray, "clips time height width 3"]
    actions: Float32[np.ndarray, "clips time-1 action"] | None
    states: Float32[np.ndarray, "clips time state"] | None
    environments: Float32[np.ndarray, "clips time environment"] | None
    episodes: Int64[np.ndarray, " clips"]
    starts: Int64[np.ndarray, " clips"]
    instructions: tuple[str, ...]


def join(first: Clips, second: Clips) -> Clips:
    """The clips of both, of one sampler's cache, in order."""

    def both(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
        return None if a is None or b is None else np.concatenate([a, b])

    return Clips(
        frames=np.concatenate([first.frames, second.frames]),
        actions=both(first.actions, second.actions),
        states=both(first.states, second.states),
        environments=both(first.environments, second.environments),
        episodes=np.concatenate([first.episodes, second.episodes]),
        starts=np.concatenate([first.starts, second.starts]),
        instructions=first.instructions + second.instructions,
    )


class ClipSampler:
    """The clips of some episodes of a cache.

    frames: of a clip. gap_s: between them; frame i shows the instant nearest to i * gap_s.
    history: how many of them precede the present frame. Any frame whose following frames lie in
        its episode is the present of one clip; history before an episode's start is its first
        frame again.
    episodes: positions in the cache; None takes all.
    too_short: those of them that are too short for a clip.
    """

    def __init__(
        self,
        cache: FrameCache,
        frames: int,
        gap_s: float,
        history: int = 0,
        episodes: Sequence[int] | None = None,
    ) -> None:
        if not 0 <= history < frames:
            raise UserError(f"a clip of {frames} frames has a history of 0 to {frames - 1}")
        self.cache = cache
        self._history = history
        self._names = cache.names.get(ACTION, ())
        used = np.asarray(range(len(cache.episodes)) if episodes is None else episodes, np.int64)
        self._offsets = _offsets(cache, used, frames, gap_s, history)
        lengths = np.array([episode.length for episode in cache.episodes], np.int64)
        counts = np.maximum(lengths[used] - self._offsets[used, -1], 0)
        self._episodes = used[counts > 0]
        self._ends = np.cumsum(counts[counts > 0])
        self._lengths = lengths
        self._firsts = np.array([episode.start for episode in cache.episodes], np.int64)
        span_s = (frames - 1 - history) * gap_s
        self.too_short = tuple(
            Skipped(cache.episodes[i].name, f"shorter than a clip of {span_s:g} s")
            for i in used[counts == 0]
        )
        if not len(self._ends):
            raise UserError(
                f"none of {len(used)} episodes holds a clip of {span_s:g} s: lower the gap of "
                f"{gap_s:g} s, or the number of frames"
            )

    def __len__(self) -> int:
        return int(self._ends[-1])

    def clips(self, indices: Sequence[int] | Indices) -> Clips:
        """The clips of these numbers, 0 to len - 1, in order of episodes and presents."""
        numbers = np.asarray(indices, np.int64)
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(self):
            raise IndexError(f"clips {numbers.min()} to {numbers.max()} of {len(self)}")
        place = np.searchsorted(self._ends, numbers, side="right")
        before = np.concatenate([[0], self._ends])[place]
        return self.at(self._episodes[place], numbers - before)

    def batch_at(self, step: int, size: int, seed: int, rank: int = 0, ranks: int = 1) -> Clips:
        """The clips of a training step: each epoch has every clip once, in an order of its own.

        size: of the batch of all ranks together; this one gets every ranks-th clip of it.
        """
        if size % ranks:
            raise UserError(f"a batch of {size} clips cannot be shared by {ranks} equal ranks")
        places = np.arange(step * size, (step + 1) * size)[rank::ranks]
        epochs, numbers = np.divmod(places, len(self))
        for epoch in np.unique(epochs):
            of_epoch = epochs == epoch
            numbers[of_epoch] = _permutation(len(self), seed, int(epoch))[numbers[of_epoch]]
        return self.clips(numbers)

    def at(self, episodes: Indices, presents: Indices) -> Clips:
        """The clips around any frames of any episodes; beyond its ends an episode stands still."""
        inside = presents[:, None] + self._offsets[episodes]
        inside = np.clip(inside, 0, self._lengths[episodes, None] - 1)
        rows = self._firsts[episodes, None] + inside
        return Clips(
            frames=self.cache.frames(rows),
            actions=self._actions(rows),
            states=self._column(STATE, rows),
            environments=self._column(ENVIRONMENT, rows),
            episodes=episodes,
            starts=inside[:, 0],
            instructions=tuple(self.cache.episodes[i].instruction for i in episodes),
        )

    def gap_frames(self, episode: int) -> int:
        """Frames from the present one to the one after it."""
        return int(self._offsets[episode, self._history + 1])

    def _actions(self, rows: Int64[np.ndarray, "clips time"]) -> np.ndarray | None:
        actions = self.cache.column(ACTION)
        if actions is None:
            return None
        return compose(actions, self._names, rows[:, :-1], np.diff(rows, axis=1))

    def _column(self, key: str, rows: Int64[np.ndarray, "clips time"]) -> np.ndarray | None:
        values = self.cache.column(key)
        return None if values is None else np.asarray(values[rows])


def _offsets(
    cache: FrameCache, used: Indices, frames: int, gap_s: float, history: int
) -> Int64[np.ndarray, "episodes frames"]:
    """Frames from the present to each of a clip, at each episode's rate."""
    rates = np.array([episode.fps for episode in cache.episodes])
    slowest = used[np.argmin(rates[used])] if len(used) else 0
    if len(used) and frames > 1 and gap_s * rates[slowest] < 1.0 - _RATE_TOLERANCE:
        raise UserError(
            f"a gap of {gap_s:g} s is shorter than the {1.0 / rates[slowest]:g} s between frames "
            f"of {cache.episodes[slowest].name} ({rates[slowest]:g} a second)"
        )
    times_s = (np.arange(frames) - history) * gap_s
    return np.floor(rates[:, None] * times_s + 0.5).astype(np.int64)


@lru_cache(maxsize=4)
def _permutation(count: int, seed: int, epoch: int) -> Int64[np.ndarray, " count"]:
    """Counter-based: an epoch's order needs none before it."""
    order = np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(count)
    order.flags.writeable = False
    return order
