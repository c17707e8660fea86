"""A cache holds what the videos show, is whole or absent, and names what it leaves out."""

from __future__ import annotations

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from recordings import ACTION_NAMES, FRONT, actions_of, numbers, write_dataset, write_video

from lam_models.command import UserError
from lam_models.data import cache as cache_module
from lam_models.data import cache_build
from lam_models.data.cache import FrameCache, cache_folder, open_cache
from lam_models.data.lerobot_read import Dataset
from lam_models.sense.pixels import fit

LENGTHS = (12, 9, 15)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("dataset") / "data", LENGTHS)


@pytest.fixture(params=["raw", "jpeg"])
def cache(request: pytest.FixtureRequest, dataset: Path, tmp_path: Path) -> FrameCache:
    return open_cache(dataset, camera="front", size=16, kind=request.param, folder=tmp_path)


def everything(cache: FrameCache) -> np.ndarray:
    return cache.frames(np.arange(cache.contents.frames))


def test_frames_are_those_of_the_dataset_resized(cache: FrameCache, dataset: Path):
    opened = Dataset.open(dataset)
    tolerance = 0 if cache.contents.kind == "raw" else 60  # JPEG rings at the edges of bars.
    for i, episode in enumerate(cache.episodes):
        wanted = np.stack([fit(image, 16, 16) for image in opened.frames(i, FRONT)])
        found = cache.frames(np.arange(episode.start, episode.stop))
        assert np.abs(found.astype(int) - wanted).max() <= tolerance
        np.testing.assert_array_equal(numbers(found), 40 * i + np.arange(LENGTHS[i]))


def test_numbers_lie_beside_the_frames(cache: FrameCache):
    assert [episode.length for episode in cache.episodes] == list(LENGTHS)
    assert cache.instructions == ("reach", "stack", "reach")
    assert cache.names["action"] == ACTION_NAMES
    expected = np.concatenate([actions_of(i, n) for i, n in enumerate(LENGTHS)])
    np.testing.assert_array_equal(cache.column("action"), expected.astype(np.float32))
    assert cache.column("observation.environment_state") is None


def test_rows_of_any_shape_are_read(cache: FrameCache):
    rows = np.array([[3, 30], [7, 3]])
    np.testing.assert_array_equal(cache.frames(rows), everything(cache)[rows])


def test_a_cache_is_sent_to_other_processes(cache: FrameCache):
    again = pickle.loads(pickle.dumps(cache))
    np.testing.assert_array_equal(everything(again), everything(cache))


def test_a_cache_is_built_once_however_many_ask(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls = []
    build = cache_module.build
    monkeypatch.setattr(cache_module, "build", lambda *a: calls.append(1) or build(*a))
    with ThreadPoolExecutor(4) as pool:
        opened = list(
            pool.map(lambda _: open_cache(dataset, camera=None, size=16, folder=tmp_path), range(4))
        )
    assert len(calls) == 1 and len({one.path for one in opened}) == 1
    assert open_cache(dataset, camera=FRONT, size=16, folder=tmp_path).path == opened[0].path
    assert open_cache(dataset, camera=FRONT, size=8, folder=tmp_path).path != opened[0].path


def test_an_interrupted_build_leaves_nothing(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(cache_build, "fit", stop)
        open_cache(dataset, camera=None, size=16, folder=tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    assert len(open_cache(dataset, camera=None, size=16, folder=tmp_path).episodes) == 3


def test_plain_videos_have_a_rate_of_their_own(tmp_path: Path):
    write_video(tmp_path / "videos" / "a.mp4", 20, 30)
    write_video(tmp_path / "videos" / "sub" / "b.mkv", 25, Fraction(30000, 1001))
    cache = open_cache(tmp_path / "videos", camera=None, size=32, folder=tmp_path)
    assert [one.name for one in cache.episodes] == ["a.mp4", "sub/b.mkv"]
    assert [one.length for one in cache.episodes] == [20, 25]
    np.testing.assert_allclose([one.fps for one in cache.episodes], [30, 29.97], atol=0.001)
    shown = numbers(everything(cache))
    np.testing.assert_array_equal(shown, [*range(20), *range(25)])
    assert cache.column("action") is None


@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_of_a_varying_rate_each_instant_shows_what_is_on_screen_then(tmp_path: Path, suffix: str):
    ticks = np.cumsum([0, *[2, 1] * 15])
    write_video(tmp_path / "videos" / f"a.{suffix}", len(ticks), 30, ticks=ticks.tolist())
    cache = open_cache(tmp_path / "videos", camera=None, size=32, folder=tmp_path)
    (episode,) = cache.episodes
    times_s = np.arange(episode.length) / episode.fps
    lag_s = times_s - ticks[numbers(everything(cache))[: episode.length]] / 30
    assert np.abs(lag_s).max() <= 1.5 / episode.fps


def damaged_folder(root: Path) -> Path:
    whole = write_video(root / "a.mp4", 40)
    write_video(root / "one_frame.mp4", 1)
    write_video(root / "other_size.mp4", 30, size=(48, 64))
    (root / "cut.mp4").write_bytes(whole.read_bytes()[:-300])
    (root / "empty.mp4").touch()
    (root / "noise.mkv").write_bytes(b"no video" * 100)
    (root / "absent.mp4").symlink_to("nowhere.mp4")
    long = write_video(root / "cut.mkv", 200)
    long.write_bytes(long.read_bytes()[: long.stat().st_size // 2])
    return root


def test_damaged_videos_are_left_out_by_name_and_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = damaged_folder(tmp_path / "videos")
    cache = open_cache(folder, camera=None, size=32, folder=tmp_path)
    assert [one.name for one in cache.episodes] == ["a.mp4", "other_size.mp4"]
    bad = {"absent.mp4", "cut.mkv", "cut.mp4", "empty.mp4", "noise.mkv", "one_frame.mp4"}
    assert {one.name for one in cache.skipped} == bad
    for _ in range(2):  # Said again where the cache is there already.
        said = capsys.readouterr().err
        assert "6 of 8 episodes left out" in said and all(name in said for name in bad)
        assert "2 sizes of video" in said
        open_cache(folder, camera=None, size=32, folder=tmp_path)
    with pytest.raises(UserError, match=r"6 cannot be used: .*absent.mp4"):
        open_cache(folder, camera=None, size=32, folder=tmp_path, strict=True)


def test_damage_that_only_decoding_finds_is_left_out(tmp_path: Path):
    """A dataset's index may promise frames that its video does not decode to."""
    dataset = write_dataset(tmp_path / "data", (12, 9, 15))
    path = Dataset.open(dataset).episodes[0].videos[FRONT].path
    content = bytearray(path.read_bytes())
    begin = content.index(b"mdat") + 4
    content[begin + 40 : begin + 400] = bytes(360)
    path.write_bytes(content)
    cache = open_cache(dataset, camera=None, size=32, folder=tmp_path)
    left = {one.name for one in cache.episodes}
    assert left | {one.name for one in cache.skipped} == {f"episode {i}" for i in range(3)}
    assert "episode 2" in left
    action = cache.column("action")
    last = cache.episodes[-1]
    assert action is not None
    np.testing.assert_array_equal(
        action[last.start : last.stop], actions_of(2, 15).astype(np.float32)
    )


def test_a_changed_video_is_another_cache(tmp_path: Path):
    video = write_video(tmp_path / "videos" / "a.mp4", 20)
    before = open_cache(tmp_path / "videos", camera=None, size=16, folder=tmp_path)
    os.utime(video, ns=(0, 12345))
    after = open_cache(tmp_path / "videos", camera=None, size=16, folder=tmp_path)
    assert before.content_hash != after.content_hash and before.path != after.path


def test_mistakes_are_named(dataset: Path, tmp_path: Path):
    with pytest.raises(UserError, match="unknown kind of cache 'rw'"):
        open_cache(dataset, camera=None, size=16, kind="rw", folder=tmp_path)
    with pytest.raises(UserError, match="unknown camera 'frnt'"):
        open_cache(dataset, camera="frnt", size=16, folder=tmp_path)
    with pytest.raises(UserError, match="no dataset and no folder of videos at"):
        open_cache(tmp_path / "none", camera=None, size=16, folder=tmp_path)
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError, match="no video"):
        open_cache(tmp_path / "bare", camera=None, size=16, folder=tmp_path)


def test_the_folder_is_the_arguments_or_the_environments(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LAM_CACHE", "/somewhere")
    assert cache_folder("/here") == Path("/here")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("LAM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/lam_ros")
