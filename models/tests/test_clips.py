"""Clips: a gap in seconds at any rate, actions of whole gaps, batches by step alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from recordings import ACTION_NAMES, numbers, write_dataset

from lam_models.command import UserError
from lam_models.data.cache import CachedEpisode, Contents, FrameCache, open_cache
from lam_models.data.clips import ClipSampler
from lam_models.data.gap_actions import action_groups, compose
from lam_models.geometry import apply_delta, delta_between


class Ramp(FrameCache):
    """Episodes whose one pixel counts the rows of the cache; the state does too."""

    def __init__(self, rates: Sequence[float], lengths: Sequence[int]) -> None:
        stops = np.cumsum(lengths).tolist()
        episodes = tuple(
            CachedEpisode(i, f"episode {i}", rate, f"task {i}", stop - length, stop)
            for i, (rate, length, stop) in enumerate(zip(rates, lengths, stops, strict=True))
        )
        self.path = Path()
        self.contents = Contents(
            camera="front",
            size=1,
            kind="raw",
            content_hash="",
            frames=stops[-1],
            episodes=episodes,
            names={"observation.state": ("row",), "action": ACTION_NAMES},
            skipped=(),
            notes=(),
        )
        rng = np.random.default_rng(0)
        self.actions = rng.normal(0, 0.3, (stops[-1], 7)).astype(np.float32)

    def frames(self, rows: np.ndarray) -> np.ndarray:
        return np.stack([rows >> 8, rows & 255, 0 * rows], -1).astype(np.uint8)[..., None, None, :]

    def column(self, key: str) -> np.ndarray | None:
        rows = np.arange(self.contents.frames, dtype=np.float32)[:, None]
        return {"observation.state": rows, "action": self.actions}.get(key)


def shown(clips) -> np.ndarray:
    """Rows of the cache that the clips show."""
    pixels = clips.frames[..., 0, 0, :].astype(int)
    return pixels[..., 0] * 256 + pixels[..., 1]


rates = st.one_of(st.integers(5, 60).map(float), st.sampled_from([29.97, 23.976, 59.94]))


@settings(max_examples=40)
@given(
    rates=st.lists(rates, min_size=1, max_size=4),
    gap_s=st.floats(0.2, 1.5),
    frames=st.integers(2, 5),
    data=st.data(),
)
def test_each_frame_is_the_nearest_to_its_instant_and_in_its_episode(rates, gap_s, frames, data):
    history = data.draw(st.integers(0, frames - 1))
    lengths = [int(rate * 3) + 7 * i for i, rate in enumerate(rates)]
    cache = Ramp(rates, lengths)
    assume(
        any((frames - 1 - history) * gap_s * r < n - 2 for r, n in zip(rates, lengths, strict=True))
    )
    sampler = ClipSampler(cache, frames, gap_s, history)
    clips = sampler.clips(np.arange(len(sampler)))
    for i, rows in enumerate(shown(clips)):
        episode = cache.episodes[clips.episodes[i]]
        assert episode.start <= rows.min() and rows.max() < episode.stop
        assert rows[0] == episode.start + clips.starts[i]
        times_s = (rows - rows[history]) / episode.fps
        wanted_s = (np.arange(frames) - history) * gap_s
        before_s = (episode.start - rows[history]) / episode.fps
        lag_s = times_s - np.maximum(wanted_s, before_s)
        assert np.abs(lag_s).max() <= 0.5 / episode.fps + 1e-9
    assert clips.states is not None
    np.testing.assert_array_equal(clips.states[..., 0], shown(clips))


@given(rates, rates, st.floats(0.2, 1.0))
def test_one_motion_at_two_rates_gives_the_same_instants(rate, other, gap_s):
    cache = Ramp([rate, other], [int(rate * 4) + 1, int(other * 4) + 1])
    clips = ClipSampler(cache, 4, gap_s).at(np.array([0, 1]), np.array([0, 0]))
    rows = shown(clips) - np.array([[0], [cache.episodes[1].start]])
    times_s = rows / np.array([[rate], [other]])
    wanted_s = np.arange(4) * gap_s
    half_s = 0.5 / np.array([[rate], [other]])
    assert (np.abs(times_s - wanted_s) <= half_s + 1e-9).all()


def test_every_frame_with_a_future_is_the_present_of_one_clip():
    cache = Ramp([10.0, 20.0, 10.0], [9, 30, 3])
    sampler = ClipSampler(cache, frames=3, gap_s=0.2, history=1, episodes=[0, 1, 2])
    clips = sampler.clips(range(len(sampler)))
    expected = [(e, i) for e, n, gap in ((0, 9, 2), (1, 30, 4), (2, 3, 2)) for i in range(n - gap)]
    firsts = np.array([one.start for one in cache.episodes])
    presents = shown(clips)[:, 1] - firsts[clips.episodes]
    assert list(zip(clips.episodes, presents, strict=True)) == expected
    assert clips.instructions == tuple(f"task {e}" for e, _ in expected)


def test_history_before_an_episode_is_its_first_frame_and_no_motion():
    cache = Ramp([10.0], [20])
    clips = ClipSampler(cache, frames=4, gap_s=0.3, history=2).at(np.array([0]), np.array([1]))
    np.testing.assert_array_equal(shown(clips), [[0, 0, 1, 4]])
    assert clips.actions is not None
    np.testing.assert_array_equal(clips.actions[0, 0, :6], 0.0)
    np.testing.assert_allclose(clips.actions[0, 1], cache.actions[0], atol=1e-6)


def test_a_clip_beyond_the_end_stands_still():
    clips = ClipSampler(Ramp([10.0], [20]), frames=3, gap_s=0.5).at(np.array([0]), np.array([16]))
    np.testing.assert_array_equal(shown(clips), [[16, 19, 19]])


@given(arrays(np.float64, (9, 7), elements=st.floats(-0.7, 0.7)), st.data())
def test_the_action_of_a_gap_moves_as_its_actions_one_by_one(actions, data):
    first = data.draw(st.integers(0, 8))
    count = data.draw(st.integers(1, 9 - first))
    found = compose(actions, ACTION_NAMES, np.array([first]), np.array([count]))[0]
    T = np.eye(4)
    for action in actions[first : first + count]:
        T = apply_delta(T, action[:6])
    np.testing.assert_allclose(apply_delta(np.eye(4), found[:6]), T, atol=1e-9)
    expected = delta_between(np.eye(4), T)
    if np.linalg.norm(expected[3:]) < 3.1:  # Half a turn has two rotation vectors.
        np.testing.assert_allclose(found[:6], expected, atol=1e-8)
    assert found[6] == actions[first + count - 1, 6]


def test_actions_of_clips_are_those_between_their_frames():
    cache = Ramp([10.0, 15.0], [12, 20])
    sampler = ClipSampler(cache, frames=3, gap_s=0.25)
    clips = sampler.clips(range(len(sampler)))
    assert clips.actions is not None and clips.actions.dtype == np.float32
    for rows, actions in zip(shown(clips), clips.actions, strict=True):
        for a, b, action in zip(rows[:-1], rows[1:], actions, strict=True):
            expected = compose(cache.actions, ACTION_NAMES, np.array([a]), np.array([b - a]))[0]
            np.testing.assert_allclose(action, expected, atol=1e-6)


def test_groups_of_actions():
    assert action_groups(ACTION_NAMES) == {
        "translation": (0, 1, 2), "rotation": (3, 4, 5), "hand": (6,),
    }  # fmt: skip
    assert action_groups(("shoulder", "elbow")) == {"action": (0, 1)}
    assert action_groups(()) == {}


def test_an_epoch_has_every_clip_once_and_another_order_than_the_next():
    sampler = ClipSampler(Ramp([10.0, 10.0], [12, 12]), frames=2, gap_s=0.2)
    count, size = len(sampler), 5
    assert count == 20
    starts = [sampler.batch_at(step, size, seed=3) for step in range(8)]
    rows = np.concatenate([shown(clips)[:, 0] for clips in starts])
    assert len(set(rows[:count])) == len(set(rows[count:])) == count
    assert (rows[:count] != rows[count:]).any()


@settings(max_examples=40)
@given(step=st.integers(0, 10**6), seed=st.integers(0, 2**32), ranks=st.sampled_from([1, 2, 3]))
def test_batches_are_functions_of_seed_and_step_and_shared_by_ranks(step, seed, ranks):
    cache = Ramp([10.0, 10.0], [12, 9])
    whole = ClipSampler(cache, 2, 0.2).batch_at(step, 6, seed)
    again = ClipSampler(cache, 2, 0.2).batch_at(step, 6, seed)
    np.testing.assert_array_equal(shown(whole), shown(again))
    sampler = ClipSampler(cache, 2, 0.2)
    parts = [shown(sampler.batch_at(step, 6, seed, rank, ranks)) for rank in range(ranks)]
    together = np.stack(parts, axis=1).reshape(6, 2)
    np.testing.assert_array_equal(together, shown(whole))


def test_mistakes_are_named():
    cache = Ramp([10.0, 5.0], [12, 2])
    with pytest.raises(UserError, match=r"gap of 0\.1 s is shorter than the 0\.2 s .* episode 1"):
        ClipSampler(cache, 2, 0.1)
    assert len(ClipSampler(cache, 2, 0.1, episodes=[0])) == 11
    with pytest.raises(UserError, match=r"none of 2 episodes holds a clip of 30 s"):
        ClipSampler(cache, 4, 10.0)
    with pytest.raises(UserError, match="history"):
        ClipSampler(cache, 2, 0.5, history=2)
    with pytest.raises(UserError, match="cannot be shared by 2"):
        ClipSampler(cache, 2, 0.2).batch_at(0, 3, 0, 0, 2)
    with pytest.raises(IndexError):
        ClipSampler(cache, 2, 0.2).clips([100])


def test_episodes_too_short_for_a_clip_are_named():
    sampler = ClipSampler(Ramp([10.0, 10.0], [12, 3]), frames=3, gap_s=0.2)
    assert [one.name for one in sampler.too_short] == ["episode 1"]
    assert set(sampler.clips(range(len(sampler))).episodes) == {0}


@pytest.mark.parametrize("kind", ["raw", "jpeg"])
def test_clips_of_a_recorded_dataset(tmp_path: Path, kind: str):
    dataset = write_dataset(tmp_path / "data", (12, 9, 15), fps=10)
    cache = open_cache(dataset, camera=None, size=32, kind=kind, folder=tmp_path)
    sampler = ClipSampler(cache, frames=3, gap_s=0.3, episodes=[0, 2])
    clips = sampler.batch_at(0, len(sampler), seed=1)
    first = 40 * clips.episodes + clips.starts
    np.testing.assert_array_equal(numbers(clips.frames), first[:, None] + [0, 3, 6])
    assert clips.states is not None and clips.environments is None
    np.testing.assert_array_equal(clips.states[:, :, 1], np.repeat(clips.episodes[:, None], 3, 1))
