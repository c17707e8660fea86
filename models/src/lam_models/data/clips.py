"""Clips of a cache: frames a stated gap in seconds apart, whatever the rate of the video.

Frame i of a clip is the one nearest to `start + i * gap_s`. A clip never leaves its episode.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from lam_models.command import UserError
from lam_models.data.cache import FrameCache
from lam_models.data.gap_actions import GapActions, action_groups

Rows = Int64[np.ndarray, "clips time"]


@dataclass(frozen=True)
class Clips:
    """A stack of clips.

    actions: of each whole gap, composed as gap_actions.py says.
    states, environments: proprioception and the simulation's truth at each frame.
    episodes, starts: the cache's episode, and the index of the first frame in it.
    """

    frames: UInt8[np.ndarray, "clips time height width 3"]
    actions: Float32[np.ndarray, "clips time-1 action"] | None
    states: Float32[np.ndarray, "clips time state"] | None
    environments: Float32[np.ndarray, "clips time environment"] | None
    episodes: Int64[np.ndarray, " clips"]
    starts: Int64[np.ndarray, " clips"]
    instructions: tuple[str, ...]


class ClipSampler:
    """All clips of some episodes of a cache, by index.

    episodes: of the cache; None for all. too_short: how many of them have no clip.
    Raises UserError where the gap is shorter than a frame, or no episode is long enough.
    """

    def __init__(
        self,
        cache: FrameCache,
        *,
        frames: int,
        gap_s: float,
        episodes: Iterable[int] | None = None,
    ) -> None:
        self.cache, self.time, self.gap_s = cache, frames, gap_s
        self.episodes = np.arange(len(cache.episodes)) if episodes is None else np.array(
            [*episodes], np.int64
        )  # fmt: skip
        chosen = [cache.episodes[i] for i in self.episodes]
        self._first_row = np.array([episode.start for episode in chosen], np.int64)
        self._lengths = np.array([episode.stop - episode.start for episode in chosen], np.int64)
        self._offsets = np.array(
            [frame_offsets(frames, gap_s, episode.fps) for episode in chosen], np.int64
        ).reshape(len(chosen), frames)
        counts = np.maximum(self._lengths - self._offsets[:, -1], 0)
        self.too_short = int((counts == 0).sum())
        self._ends = np.cumsum(counts)
        if not len(self):
            longest_s = max((e.stop - e.start) / e.fps for e in chosen) if chosen else 0.0
            raise UserError(
                f"no episode is long enough for {frames} frames {gap_s:g} s apart; "
                f"the longest lasts {longest_s:.2f} s"
            )
        actions = cache.columns.get("action")
        self.action_names = cache.names.get("action", ())
        self.action_groups = action_groups(self.action_names)
        self._actions = None if actions is None else GapActions.of(actions, self.action_names)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def clips(self, indices: Int64[np.ndarray, " clips"]) -> Clips:
        """These clips, counted through the episodes in order."""
        indices = np.asarray(indices, np.int64)
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"clips {indices.min()} to {indices.max()} of {len(self)}")
        which = np.searchsorted(self._ends, indices, side="right")
        starts = indices - np.concatenate([[0], self._ends])[which]
        return self._read(which, starts, starts[:, None] + self._offsets[which])

    def batch_at(self, step: int, size: int, seed: int, rank: int = 0, ranks: int = 1) -> Clips:
        """The clips of a training step, a pure function of the arguments.

        Epoch after epoch in a random order of its own; each of `ranks` processes takes its share.
        """
        if size % ranks:
            raise UserError(f"a batch of {size} clips cannot be shared by {ranks} processes evenly")
        positions = np.arange(size, dtype=np.int64)[rank::ranks] + step * size
        epochs, within = np.divmod(positions, len(self))
        orders = {int(e): _order(len(self), seed, int(e)) for e in np.unique(epochs)}
        return self.clips(
            np.array([orders[int(e)][i] for e, i in zip(epochs, within, strict=True)])
        )

    def around(
        self, which: int, present: Int64[np.ndarray, " clips"], history: int
    ) -> tuple[Clips, Bool[np.ndarray, " clips"]]:
        """Clips of one episode, `history` of their frames before each frame `present`.

        which: index into `episodes`. Beyond the ends of the episode its first and last frames are
        repeated; true where the frame after the present one was recorded.
        """
        offsets = self._offsets[which] - self._offsets[which][history]
        wanted = present[:, None] + offsets
        length = int(self._lengths[which])
        which_of = np.full(len(present), which)
        clips = self._read(which_of, wanted[:, 0], np.clip(wanted, 0, length - 1))
        return clips, wanted[:, history + 1] < length

    def _read(
        self, which: Int64[np.ndarray, " clips"], starts: Int64[np.ndarray, " clips"], frames: Rows
    ) -> Clips:
        rows = self._first_row[which][:, None] + frames
        cache, episodes = self.cache, self.episodes[which]
        actions = None
        if self._actions is not None:
            flat = self._actions.between(rows[:, :-1].ravel(), rows[:, 1:].ravel())
            actions = flat.reshape(*rows[:, :-1].shape, -1)
        return Clips(
            frames=cache.frames(rows),
            actions=actions,
            states=self._column("observation.state", rows),
            environments=self._column("observation.environment_state", rows),
            episodes=episodes,
            starts=starts,
            instructions=tuple(cache.episodes[i].instruction for i in episodes),
        )

    def _column(self, key: str, rows: Rows) -> Float32[np.ndarray, "clips time size"] | None:
        column = self.cache.columns.get(key)
        return None if column is None else column[rows]


def frame_offsets(frames: int, gap_s: float, fps: float) -> list[int]:
    """Frame indices of a clip from its first: the nearest to each multiple of the gap."""
    gap_frames = gap_s * fps
    # A rate such as 29.97 stated as 30 may make one frame a hair longer than the gap.
    if gap_frames < 0.99:
        raise UserError(
            f"a gap of {gap_s:g} s is shorter than a frame at {fps:g} frames/s ({1 / fps:.4g} s)"
        )
    return [math.floor(i * max(gap_frames, 1.0) + 0.5) for i in range(frames)]


@lru_cache(maxsize=8)
def _order(count: int, seed: int, epoch: int) -> Int64[np.ndarray, " count"]:
    return np.random.default_rng([seed, epoch]).permutation(count)
