"""Datasets: what is written is what is read, folders are whole or absent, damage is named."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lam_models.command import UserError
from lam_models.data.episode import EncodedEpisode, EpisodeEncoder
from lam_models.data.lerobot_layout import Feature, FileLimits, Schema, camera, scalar, vector
from lam_models.data.lerobot_read import Dataset
from lam_models.data.lerobot_write import DatasetWriter

FRONT, WRIST = "observation.images.front", "observation.images.wrist"
SCHEMA = Schema(
    20,
    {
        FRONT: camera(32, 48),
        WRIST: camera(16, 16),
        "observation.state": vector(("x_m", "y_m", "z_m")),
        "action": vector(("dx_m", "dy_m")),
        "reward": scalar("float64"),
        "success": scalar("bool"),
        "phase": vector(("coarse", "fine"), dtype="int64"),
    },
    robot_type="panda",
)
LENGTHS = (12, 7, 9)
TASKS = ("stack", "reach", "stack")


def frame(episode: int, i: int) -> dict[str, np.ndarray | float | bool]:
    """Every value tells its episode and frame."""
    return {
        FRONT: np.full((32, 48, 3), 20 * episode + 8 * i, np.uint8),
        WRIST: np.full((16, 16, 3), 200 - 10 * i, np.uint8),
        "observation.state": np.array([episode, i, 0.5]),
        "action": np.array([i / 7, -episode], np.float32),
        "reward": float(i),
        "success": i == LENGTHS[episode] - 1,
        "phase": np.array([episode, i]),
    }


def write(path: Path, limits: FileLimits | None = None) -> Path:
    with DatasetWriter(path, SCHEMA, limits=limits) as writer:
        for episode, length in enumerate(LENGTHS):
            for i in range(length):
                writer.add_frame(frame(episode, i))
            writer.save_episode(TASKS[episode])
    return path


def encode_episode(episode: int) -> EncodedEpisode:
    encoder = EpisodeEncoder(SCHEMA)
    for i in range(LENGTHS[episode]):
        encoder.add_frame(frame(episode, i))
    return encoder.finish(TASKS[episode])


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("dataset") / "data")


@pytest.fixture
def copied(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "copied"))


def check_content(dataset: Dataset) -> None:
    assert [e.length for e in dataset.episodes] == list(LENGTHS)
    assert [e.tasks for e in dataset.episodes] == [(task,) for task in TASKS]
    for episode, length in enumerate(LENGTHS):
        expected = [frame(episode, i) for i in range(length)]
        for key, feature in SCHEMA.columns.items():
            values = dataset.episode_column(episode, key)
            assert values.dtype == np.dtype(feature.dtype)
            wanted = np.stack([np.atleast_1d(f[key]) for f in expected]).astype(values.dtype)
            np.testing.assert_array_equal(values, wanted)
        for key in (FRONT, WRIST):
            images = np.stack([np.asarray(f[key]) for f in expected]).astype(int)
            assert np.abs(dataset.frames(episode, key) - images).max() <= 3
        np.testing.assert_allclose(
            dataset.episode_column(episode, "timestamp")[:, 0], np.arange(length) / 20, atol=1e-6
        )


def test_round_trip(written: Path):
    dataset = Dataset.open(written)
    assert dataset.schema == SCHEMA
    assert (dataset.frame_count, dataset.fps) == (sum(LENGTHS), 20)
    check_content(dataset)
    np.testing.assert_array_equal(dataset.column("index")[:, 0], np.arange(sum(LENGTHS)))
    np.testing.assert_array_equal(dataset.column("task_index")[:, 0], np.repeat([0, 1, 0], LENGTHS))


def test_frames_are_read_by_window_and_iterated(written: Path):
    dataset = Dataset.open(written)
    whole = dataset.frames(1, FRONT)
    np.testing.assert_array_equal(dataset.frames(1, FRONT, 2, 5), whole[2:5])
    rows = list(dataset.iterate(1))
    np.testing.assert_array_equal(np.stack([row[FRONT] for row in rows]), whole)
    assert [row["reward"][0] for row in rows] == list(range(LENGTHS[1]))
    with pytest.raises(IndexError, match="frames 0:8 of episode 1 of length 7"):
        dataset.frames(1, FRONT, 0, 8)


def test_a_dataset_goes_to_other_processes(written: Path):
    dataset = Dataset.open(written)
    before = dataset.frames(0, FRONT)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(dataset)).frames(0, FRONT), before)


def test_columns_cannot_be_changed_by_accident(written: Path):
    with pytest.raises(ValueError, match="read-only"):
        Dataset.open(written).column("action")[0] = 1.0


def test_equal_input_gives_equal_bytes(written: Path, tmp_path: Path):
    again = write(tmp_path / "again")
    assert contents(again) == contents(written)
    assert Dataset.open(again).content_hash == Dataset.open(written).content_hash


def test_episodes_encoded_in_workers_give_equal_bytes(written: Path, tmp_path: Path):
    with (
        ProcessPoolExecutor(1) as pool,
        DatasetWriter(tmp_path / "parallel", SCHEMA) as writer,
    ):
        for episode in pool.map(encode_episode, range(len(LENGTHS))):
            writer.append(episode)
    assert contents(tmp_path / "parallel") == contents(written)


def test_files_of_bounded_size(tmp_path: Path):
    """With no room at all, every episode has files of its own, and chunks fill up."""
    limits = FileLimits(data_mb=0, video_mb=0, files_per_chunk=2)
    path = write(tmp_path / "split", limits)
    for pattern in ("data/*/*.parquet", "meta/episodes/*/*.parquet", f"videos/{FRONT}/*/*.mp4"):
        found = sorted(str(file.relative_to(path))[-26:] for file in path.glob(pattern))
        assert [name[-26:].split("chunk-")[1].split(".")[0] for name in found] == [
            "000/file-000",
            "000/file-001",
            "001/file-000",
        ]
    check_content(Dataset.open(path))


def test_video_without_actions(tmp_path: Path):
    with DatasetWriter(tmp_path / "video", Schema(10, {FRONT: camera(32, 48)})) as writer:
        for i in range(4):
            writer.add_frame({FRONT: frame(0, i)[FRONT]})
        writer.save_episode("")
    dataset = Dataset.open(tmp_path / "video")
    assert dataset.schema.columns == {}
    assert dataset.frames(0, FRONT).shape == (4, 32, 48, 3)


def test_a_discarded_episode_leaves_no_trace(written: Path, tmp_path: Path):
    with DatasetWriter(tmp_path / "data", SCHEMA) as writer:
        for episode, length in enumerate(LENGTHS):
            writer.add_frame(frame(0, 5))
            writer.discard_episode()
            for i in range(length):
                writer.add_frame(frame(episode, i))
            writer.save_episode(TASKS[episode])
    assert contents(tmp_path / "data") == contents(written)


def test_nothing_is_left_after_a_failure(tmp_path: Path):
    with (
        pytest.raises(RuntimeError, match="robot on fire"),
        DatasetWriter(tmp_path / "data", SCHEMA) as writer,
    ):
        writer.add_frame(frame(0, 0))
        writer.save_episode("reach")
        raise RuntimeError("robot on fire")
    assert list(tmp_path.iterdir()) == []


def test_until_the_end_only_the_partial_folder_exists(tmp_path: Path):
    writer = DatasetWriter(tmp_path / "data", SCHEMA)
    writer.add_frame(frame(0, 0))
    writer.save_episode("reach")
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.partial"]
    with pytest.raises(UserError, match="being written by another process"):
        DatasetWriter(tmp_path / "data", SCHEMA)
    writer.finalize()
    assert [entry.name for entry in tmp_path.iterdir()] == ["data"]


def test_finalizing_by_hand_inside_the_block_is_fine(tmp_path: Path):
    with DatasetWriter(tmp_path / "data", SCHEMA) as writer:
        writer.add_frame(frame(0, 0))
        writer.save_episode("reach")
        assert Dataset.open(writer.finalize()).frame_count == 1
    assert (tmp_path / "data").is_dir()


def test_the_leftovers_of_a_killed_run_are_replaced(written: Path, tmp_path: Path):
    (tmp_path / "data.partial/data").mkdir(parents=True)
    (tmp_path / "data.partial/data/junk").write_text("half")
    assert contents(write(tmp_path / "data")) == contents(written)


def test_an_existing_folder_is_not_overwritten(written: Path):
    with pytest.raises(UserError, match="exists already"):
        DatasetWriter(written, SCHEMA)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actoin": np.zeros(2)}, "Did you mean 'action'"),
        ({"action": np.zeros(3)}, r"'action' has shape \(3,\), not \(2,\)"),
        ({"action": np.array([np.nan, 0])}, "'action' is not finite"),
        ({"phase": np.zeros(2)}, "'phase' is float64, not int64"),
        ({FRONT: np.zeros((32, 48, 3))}, "is float64, not uint8"),
        ({"action": None}, "feature 'action' is missing"),
    ],
)
def test_bad_frames_are_refused(change: dict[str, np.ndarray | None], message: str):
    values = {**frame(0, 0), **change}
    kept = {key: value for key, value in values.items() if value is not None}
    with pytest.raises(UserError, match=message):
        EpisodeEncoder(SCHEMA).add_frame(kept)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Schema(0, {}), "fps must be a positive whole number"),
        (lambda: Schema(20, {"a/b": scalar()}), "has a '/'"),
        (lambda: Schema(20, {"timestamp": scalar()}), "written automatically"),
        (lambda: Feature("flaot32", (1,)), "Did you mean 'float32'"),
        (lambda: Feature("float32", (2, 2)), "has 1 axes"),
        (lambda: Feature("float32", (2,), ("x",)), "1 names"),
    ],
)
def test_bad_schemas_are_refused(build: Callable[[], object], message: str):
    with pytest.raises(UserError, match=message):
        build()


def test_a_dataset_needs_an_episode(tmp_path: Path):
    with (
        pytest.raises(UserError, match="without episodes"),
        DatasetWriter(tmp_path / "data", SCHEMA),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def edit_info(root: Path, **entries: object) -> None:
    path = root / "meta/info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


VIDEO = f"videos/{FRONT}/chunk-000/file-000.mp4"
DATA = "data/chunk-000/file-000.parquet"
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no info": (lambda root: (root / "meta/info.json").unlink(), "missing file .*info.json"),
    "broken info": (lambda root: (root / "meta/info.json").write_text("{"), "not valid JSON"),
    "old version": (
        lambda root: edit_info(root, codebase_version="v2.1"),
        "codebase_version is v2.1.*convert_dataset_v21_to_v30",
    ),
    "frames": (lambda root: edit_info(root, total_frames=27), "says 27 frames.* 28"),
    "episodes": (lambda root: edit_info(root, total_episodes=4), "says 4 episodes.*has 3"),
    "no episodes": (lambda root: shutil.rmtree(root / "meta/episodes"), "missing file .*episodes"),
    "no data": (lambda root: (root / DATA).unlink(), "missing file .*data/chunk"),
    "cut data": (
        lambda root: (root / DATA).write_bytes((root / DATA).read_bytes()[:-9]),
        "not a whole parquet file",
    ),
    "no video": (lambda root: (root / VIDEO).unlink(), f"missing video .*{FRONT}"),
    "cut video": (
        lambda root: (root / VIDEO).write_bytes((root / VIDEO).read_bytes()[:-9]),
        f"{FRONT}.* is truncated",
    ),
    "another video": (
        lambda root: (root / VIDEO).write_bytes(encode_episode(0).videos[FRONT]),
        "has 12 frames, the episodes table needs 28",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_named(damage: str, copied: Path):
    harm, message = DAMAGE[damage]
    harm(copied)
    with pytest.raises(UserError, match=message):
        Dataset.open(copied)


def test_unknown_columns_and_cameras_are_named(written: Path):
    dataset = Dataset.open(written)
    with pytest.raises(UserError, match="Did you mean 'action'"):
        dataset.column("actions")
    with pytest.raises(UserError, match=f"Did you mean '{FRONT}'"):
        dataset.frames(0, "observation.images.frnt")


def test_statistics_are_exact(written: Path):
    dataset = Dataset.open(written)
    for key in SCHEMA.columns:
        values = dataset.column(key).astype(float)
        of = dataset.statistics[key]
        np.testing.assert_allclose(of["mean"], values.mean(axis=0))
        np.testing.assert_allclose(of["std"], values.std(axis=0))
        np.testing.assert_allclose(of["q10"], np.quantile(values, 0.1, axis=0))
        assert of["count"].tolist() == [sum(LENGTHS)]
    for key in (FRONT, WRIST):
        assert all(v.shape == (3, 1, 1) for n, v in dataset.statistics[key].items() if n != "count")
    row = pq.read_table(written / "meta/episodes/chunk-000/file-000.parquet").to_pylist()[1]
    assert row["stats/reward/max"] == [LENGTHS[1] - 1]
