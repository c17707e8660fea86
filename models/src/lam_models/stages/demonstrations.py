"""A dataset as a policy learns from it: frames of several cameras, poses, chunks, motion latents.

The chunk of a frame begins at it, or some steps later where the answer is to be late. A step is
`dt_s` long, a whole number of frames; beyond the end of an episode nothing moves any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from lam_models.command import UserError
from lam_models.data.cache import FrameCache, open_cache
from lam_models.data.gap_actions import DELTA_PREFIX, compose
from lam_models.data.latents import Latents
from lam_models.data.lerobot_read import Dataset
from lam_models.data.pseudo_actions import PseudoActions, pseudo_actions
from lam_models.data.sources import ACTION, STATE
from lam_models.hands.grasp import grasp_pose, rows_of_grasp
from lam_models.hands.space import Coder, HandSpace
from lam_models.policy.inputs import EE_NAMES, POSE_FEATURES, pose_features, word_rows
from lam_models.policy.readouts import DELTA
from lam_models.policy.ways import NEAR_M
from lam_models.sense.pinhole import Pinhole
from lam_models.stages.waypoints import (
    LEAST_CHANGE,
    LEAST_CHANGE_READ,
    Waypoints,
    find_waypoints,
)
from lam_models.types import LatentSpec

# 29.97 frames a second count as 30.
_RATE_TOLERANCE = 0.01
# Of a waypoint, as many as are looked at.
_RESTING_ROWS = 6
_DELTA_NAMES = tuple(DELTA_PREFIX + axis for axis in ("x", "y", "z", "rx", "ry", "rz"))

Rows = Int64[np.ndarray, " rows"]


@dataclass(frozen=True)
class Wanted:
    """What is read of a dataset.

    space: of hand latents; None reads no actions. hand: the coder's name, "" finds it by its
        joints. pseudo: name of actions beside the dataset, read in place of its own, "" for the
        only ones, None for its own. The poses with them are read where it has none of its own.
    motion: name of a latent space beside the dataset, "" for the only one, None for none.
    read_words: instructions as the policy reads them.
    """

    cameras: tuple[str, ...]
    image_size: int
    dt_s: float
    chunk_steps: int
    space: HandSpace | None = None
    hand: str = ""
    pseudo: str | None = None
    motion: str | None = None
    cache: str = "raw"
    read_words: Callable[[Sequence[str]], Int64[np.ndarray, "batch words hashes"]] = word_rows


@dataclass(frozen=True)
class Motion:
    """Motion latents, row for row; `known` where they are valid."""

    space: LatentSpec
    codes: Int64[np.ndarray, "rows tokens"] | None
    values: Float32[np.ndarray, "rows tokens dim"]
    known: Bool[np.ndarray, " rows"]


@dataclass(frozen=True)
class Demonstrations:
    """Rows are those of the caches. firsts, lasts: the first and last row of each row's episode.

    frames_a_step: rows from one step of a chunk to the next.
    features: of the poses, recorded or read from video, zeros where `has_state` is False.
    words: of each episode.
    actions: of the step that begins at a row: delta (m, rad), then the hand latent.
    waypoints: of each row, None where poses or actions lack. pinholes: by camera, where known.
    """

    caches: tuple[FrameCache, ...]
    episode_of: Rows
    firsts: Rows
    lasts: Rows
    frames_a_step: int
    features: Float32[np.ndarray, "rows features"]
    has_state: bool
    words: Int64[np.ndarray, "episodes words hashes"]
    actions: Float32[np.ndarray, "rows numbers"] | None
    motion: Motion | None
    hand: str = ""
    waypoints: Waypoints | None = None
    pinholes: Mapping[str, Pinhole] = field(default_factory=dict)

    @property
    def content_hash(self) -> str:
        return self.caches[0].content_hash

    def rows_of(self, episodes: Sequence[int]) -> Rows:
        """All rows of these episodes; of motion latents alone, those where they are known."""
        spans = [self.caches[0].episodes[i] for i in episodes]
        rows = [np.arange(one.start, one.stop) for one in spans]
        flat = np.concatenate(rows) if rows else np.zeros(0, np.int64)
        if self.actions is None and self.motion is not None:
            flat = flat[self.motion.known[flat]]
        return flat

    def places(
        self, rows: Rows
    ) -> tuple[Float32[np.ndarray, "rows 2 9"], Bool[np.ndarray, "rows 2"]]:
        """Poses of the end effector at the waypoints, and which of them are to be learnt.

        Those are that lie ahead; where the hand has nearly arrived, it would be learnt that things
        are where the hand is.
        """
        assert self.waypoints is not None
        begins, ends = self.waypoints.rows[rows], self.waypoints.ends[rows]
        at = np.minimum(begins[..., None] + np.arange(_RESTING_ROWS), ends[..., None])
        poses = self.features[at].mean(axis=2)
        left_m = np.linalg.norm(poses[..., :3] - self.features[rows, None, :3], axis=-1)
        return poses, self.waypoints.known[rows] & (left_m > NEAR_M)

    def pixels(self, rows: Rows) -> UInt8[np.ndarray, "rows cameras height width 3"]:
        return np.stack([cache.frames(rows) for cache in self.caches], axis=1)

    def held(self, rows: Rows, steps: tuple[int, ...]) -> Float32[np.ndarray, "rows told"]:
        """What the hand was told so many steps before each row; zeros before its episode began."""
        assert self.actions is not None
        begins = rows[:, None] - self.frames_a_step * np.array(steps)
        known = begins >= self.firsts[rows][:, None]
        hands = self.actions[np.maximum(begins, 0), DELTA:]
        return (hands * known[..., None]).astype(np.float32).reshape(len(rows), -1)

    def chunks(self, rows: Rows, steps: int, delays: Rows) -> Float32[np.ndarray, "rows steps n"]:
        """The chunk that begins `delays` steps after each row; its hand holds beyond the end."""
        assert self.actions is not None
        wanted = rows[:, None] + (delays[:, None] + np.arange(steps)) * self.frames_a_step
        lasts = self.lasts[rows, None]
        chunks = self.actions[np.minimum(wanted, lasts)]
        chunks[wanted > lasts, :DELTA] = 0.0
        return chunks


def open_demonstrations(path: Path, wanted: Wanted) -> Demonstrations:
    """Read the dataset, its frames once into caches. UserError where it lacks what is wanted."""
    dataset = Dataset.open(path)
    caches = tuple(
        open_cache(path, camera=name, size=wanted.image_size, kind=wanted.cache)
        for name in wanted.cameras
    )
    if any(cache.episodes != caches[0].episodes for cache in caches):
        raise UserError(f"{path}: episodes are damaged for one camera only; mend or remove them")
    cache = caches[0]
    count = cache.contents.frames
    episode_of, firsts, lasts = np.zeros((3, count), np.int64)
    for i, one in enumerate(cache.episodes):
        episode_of[one.start : one.stop] = i
        firsts[one.start : one.stop] = one.start
        lasts[one.start : one.stop] = one.stop - 1
    step = _frames_a_step(path, dataset.fps, wanted.dt_s)
    own = None if wanted.pseudo is not None else wanted.space
    coder = None if own is None else _coder(path, cache, own, wanted.hand)
    read = None if coder else _pseudo(dataset, cache, wanted)
    ee = _ee(cache)
    if coder is not None:
        ee, actions = _steered(ee, _actions(cache, coder, lasts, step), coder)
    else:
        actions = read and read.actions
    features = None if ee is None else pose_features(ee)
    if features is None and read is not None:
        features = read.poses
    waypoints = None
    if features is not None and actions is not None:
        spans = [(one.start, one.stop) for one in cache.episodes]
        least = LEAST_CHANGE if read is None else LEAST_CHANGE_READ
        waypoints = find_waypoints(actions[:, :3], actions[:, DELTA:], spans, least)
    return Demonstrations(
        caches=caches,
        episode_of=episode_of,
        firsts=firsts,
        lasts=lasts,
        frames_a_step=step,
        features=np.zeros((count, POSE_FEATURES), np.float32) if features is None else features,
        has_state=features is not None,
        words=wanted.read_words(cache.instructions),
        actions=actions,
        motion=None if wanted.motion is None else _motion(dataset, cache, wanted.motion),
        hand="" if coder is None else coder.modality.name,
        waypoints=waypoints,
        pinholes=_pinholes(dataset),
    )


def _pinholes(dataset: Dataset) -> dict[str, Pinhole]:
    features = dataset.schema.features
    known = ((key.rpartition(".")[2], features[key].pinhole) for key in dataset.schema.cameras)
    return {name: pinhole for name, pinhole in known if pinhole is not None}


def _frames_a_step(path: Path, fps: int, dt_s: float) -> int:
    frames = round(fps * dt_s)
    if frames < 1 or abs(frames - fps * dt_s) > _RATE_TOLERANCE * frames:
        raise UserError(
            f"{path} has {fps:g} frames a second: a step of {dt_s:g} s is no whole number of them"
        )
    return frames


def _ee(cache: FrameCache) -> np.ndarray | None:
    """The end effector's poses, where the dataset has them."""
    states, names = cache.column(STATE), cache.names.get(STATE, ())
    if states is None or any(name not in names for name in EE_NAMES):
        return None
    return np.asarray(states)[:, [names.index(name) for name in EE_NAMES]]


def _steered(
    ee: np.ndarray | None, actions: np.ndarray, coder: Coder
) -> tuple[np.ndarray | None, np.ndarray]:
    """Poses and actions of the frame that policies steer: where the hand holds things."""
    T_ee_grasp = grasp_pose(coder.modality)
    if T_ee_grasp is None or ee is None:
        return ee, actions
    ee, deltas = rows_of_grasp(ee, actions[:, :DELTA], T_ee_grasp)
    return ee, np.concatenate([deltas, actions[:, DELTA:]], axis=1).astype(np.float32)


def _coder(path: Path, cache: FrameCache, space: HandSpace, hand: str) -> Coder:
    """Of the hand that the dataset's actions move."""
    names = cache.names.get(ACTION, ())
    for name in _DELTA_NAMES:
        if name not in names:
            raise UserError(f"{path} has no action '{name}': a policy cannot be grounded in it")
    joints = {name for name in names if not name.startswith(DELTA_PREFIX)}
    if hand:
        coder = space.coder(hand)
        if set(coder.modality.entries) - joints:
            raise UserError(
                f"{path} moves {', '.join(sorted(joints))}, and '{hand}' has the joints "
                f"{', '.join(coder.modality.entries)}"
            )
        return coder
    fitting = [c for c in space.coders.values() if set(c.modality.entries) == joints]
    if len(fitting) != 1:
        found = ", ".join(coder.modality.name for coder in fitting) or "none"
        raise UserError(
            f"{path}: hands of the space '{space.latent.name}' with the joints "
            f"{', '.join(sorted(joints))}: {found}. Name the hand with --hand, or choose a space "
            "that knows it"
        )
    return fitting[0]


def _actions(cache: FrameCache, coder: Coder, lasts: Rows, step: int) -> np.ndarray:
    actions, names = cache.column(ACTION), cache.names[ACTION]
    assert actions is not None
    values, rows = np.asarray(actions), np.arange(len(lasts))
    whole = compose(values, names, rows, np.minimum(step, lasts - rows + 1))
    deltas = whole[:, [names.index(name) for name in _DELTA_NAMES]]
    joints = whole[:, [names.index(name) for name in coder.modality.entries]]
    return np.concatenate([deltas, coder.encode(joints)], axis=1).astype(np.float32)


def _pseudo(dataset: Dataset, cache: FrameCache, wanted: Wanted) -> PseudoActions | None:
    if wanted.space is None or wanted.pseudo is None:
        return None
    return pseudo_actions(dataset, cache, wanted.pseudo, wanted.space.latent, wanted.dt_s)


def _motion(dataset: Dataset, cache: FrameCache, space: str) -> Motion:
    """The dataset's latents in the order of the cache's rows."""
    latents = Latents.open(dataset, space or None)
    rows = np.zeros(cache.contents.frames, np.int64)
    there = np.zeros(len(rows), bool)
    starts = {one.index: one.start for one in dataset.episodes}
    for one in cache.episodes:
        rows[one.start : one.stop] = starts[one.index] + np.arange(one.length)
        there[one.start : one.stop] = True
    codes = latents.rows.codes
    return Motion(
        space=latents.space,
        codes=None if codes is None else codes[rows].astype(np.int64),
        values=latents.rows.values[rows],
        known=latents.rows.valid[rows] & there,
    )
