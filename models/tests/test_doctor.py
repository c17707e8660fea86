"""Every planted defect is found and named, with its episodes; sound datasets are left in peace."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path

import doctor_toys as toys
import numpy as np
import pytest
from doctor_toys import ACTION, FPS, FRONT, LENGTH, STATE, WRIST, Recorded

from lam_models.command import UserError
from lam_models.data.doctor.examine import CHECKS, examine
from lam_models.stages import data_check_command

Episodes = list[Recorded]
ALL = tuple(range(toys.EPISODES))


def freeze(film: np.ndarray) -> None:
    film[8:40] = film[8]


def swap(one: Recorded) -> None:
    one.images[FRONT], one.images[WRIST] = one.images[WRIST], one.images[FRONT]


def later(one: Recorded, frames: int) -> None:
    """Actions `frames` rows later (negative: earlier) than they belong."""
    one.columns[ACTION] = np.roll(one.columns[ACTION], frames, axis=0)


def scale(one: Recorded, key: str, columns: slice, factor: float) -> None:
    one.columns[key][:, columns] *= factor


def each(change: Callable[[Recorded], object]) -> Callable[[Episodes], None]:
    def plant(episodes: Episodes) -> None:
        for one in episodes:
            change(one)

    return plant


def shuffle_actions(episodes: Episodes) -> None:
    for seed, one in enumerate(episodes):
        np.random.default_rng(seed).shuffle(one.columns[ACTION])


def shorten(episodes: Episodes) -> None:
    episodes[3] = toys.sound(3, length=3)


def repeat(episodes: Episodes) -> None:
    episodes[4] = toys.sound(1)


def teleport(episodes: Episodes) -> None:
    for key, rows in episodes[2].columns.items():
        episodes[2].columns[key] = np.concatenate([rows[:12], rows[26:], rows[26:40]])
    for key, film in episodes[2].images.items():
        episodes[2].images[key] = np.concatenate([film[:12], film[26:], film[26:40]])


# What is done to the episodes before they are written, and what must be found where.
BEFORE: dict[str, tuple[Callable[[Episodes], object], str, tuple[int, ...]]] = {
    "frozen camera": (lambda e: freeze(e[2].images[WRIST]), "frozen camera", (2,)),
    "black camera": (lambda e: e[1].images[FRONT].fill(4), "black camera", (1,)),
    "over-exposed camera": (lambda e: e[4].images[WRIST].fill(255), "over-exposed camera", (4,)),
    "swapped cameras": (lambda e: (swap(e[3]), swap(e[5])), "swapped cameras", (3, 5)),
    "state in mm": (lambda e: scale(e[1], STATE, slice(0, 3), 1000), "wrong unit", (1,)),
    "all states in mm": (each(lambda o: scale(o, STATE, slice(0, 3), 1e3)), "wrong unit", ALL),
    "deltas in mm": (lambda e: scale(e[0], ACTION, slice(0, 3), 1000), "wrong unit", (0,)),
    "turns in degrees": (lambda e: scale(e[4], STATE, slice(3, 6), 57.3), "wrong unit", (4,)),
    "all in degrees": (each(lambda o: scale(o, ACTION, slice(3, 6), 573)), "wrong unit", ALL),
    "teleport": (teleport, "jump in the motion", (2,)),
    "state held": (lambda e: e[5].columns[STATE].__setitem__(slice(4, 40), e[5].columns[STATE][4]),
                   "frozen state", (5,)),
    "constant actions": (lambda e: e[2].columns[ACTION].fill(0), "constant actions", (2,)),
    "no actions": (each(lambda o: o.columns.pop(ACTION)), "no actions", ()),
    "late robot": (each(lambda o: later(o, -4)), "shifted actions", ALL),
    "late actions": (each(lambda o: later(o, 3)), "shifted actions", ALL),
    "one late": (lambda e: later(e[2], -5), "shifted actions", (2,)),
    "unrelated": (shuffle_actions, "actions do not fit the motion", ()),
    "reversed": (each(lambda o: scale(o, ACTION, slice(1, 2), -1)), "reversed actions", ()),
    "scaled": (each(lambda o: scale(o, ACTION, slice(0, 3), 20)), "actions do not fit the motion",
               ()),
    "short": (shorten, "episode too short", (3,)),
    "twice": (repeat, "repeated episode", (4,)),
    "no words": (lambda e: setattr(e[3], "task", " "), "empty instruction", (3,)),
    "one instruction": (each(lambda o: setattr(o, "task", "reach")), "single instruction", ()),
    "spelling": (lambda e: setattr(e[0], "task", "Reach the red  cube."),
                 "instruction spelt in several ways", ()),
}  # fmt: skip


def set_rows(key: str, rows: slice, value: float) -> Callable[[Path], None]:
    return lambda root: toys.edit_column(root, key, lambda v: v.__setitem__(rows, value))


def add_rows(key: str, rows: slice, value: float) -> Callable[[Path], None]:
    return lambda root: toys.edit_column(
        root, key, lambda v: v.__setitem__(rows, v[rows] + np.array(value, v.dtype))
    )


def slow(root: Path) -> None:
    toys.edit_column(root, "timestamp", lambda v: v.__imul__(2))


def cut(root: Path) -> None:
    path = root / toys.VIDEO
    path.write_bytes(path.read_bytes()[:-100])


def rot(root: Path) -> None:
    """Bytes in the last third of the pictures are lost, as on a failing disk."""
    path = root / toys.VIDEO
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat")
    first = start + (len(content) - start) * 2 // 3
    content[first : first + 3000] = bytes(3000)
    path.write_bytes(content)


def other_video(root: Path) -> None:
    """The wrist's file, one frame short, as a copy of the set with fewer episodes has it."""
    shorter = toys.write(root.with_name("shorter"), toys.sound_set(toys.EPISODES - 1))
    shutil.copy(shorter / toys.VIDEO, root / toys.VIDEO)


def set_mean(key: str) -> Callable[[Path], None]:
    return lambda root: toys.edit_json(
        root, "stats.json", lambda s: s[key].update(mean=(np.array(s[key]["mean"]) + 0.3).tolist())
    )


EPISODE_2 = slice(2 * LENGTH, 3 * LENGTH)
AFTER: dict[str, tuple[Callable[[Path], object], str, tuple[int, ...]]] = {
    "slow stamps": (slow, "wrong rate", ALL),
    "edited fps": (lambda r: toys.edit_json(r, "info.json", lambda i: i.update(fps=30)),
                   "wrong rate", ALL),
    "gap": (add_rows("timestamp", slice(LENGTH + 20, 2 * LENGTH), 0.7), "time gap", (1,)),
    "stamp jump": (add_rows("timestamp", slice(2 * LENGTH + 20, 3 * LENGTH), -0.5),
                   "stamps jump back", (2,)),
    "numbering": (add_rows("frame_index", EPISODE_2, 1), "wrong frame numbers", (2,)),
    "nan": (set_rows(STATE, slice(LENGTH + 5, LENGTH + 6), np.nan), "not a number", (1,)),
    "cut video": (cut, "damaged video", ALL),
    "rotten video": (rot, "damaged video", (4,)),
    "missing video": (lambda r: (r / toys.VIDEO).unlink(), "damaged video", ALL),
    "missing data": (lambda r: (r / toys.DATA).unlink(), "missing file", ALL),
    "shorter video": (other_video, "video and rows differ in length", (5,)),
    "counts": (lambda r: toys.edit_json(r, "info.json", lambda i: i.update(total_frames=9)),
               "counts disagree", ()),
    "task index": (set_rows("task_index", EPISODE_2, 0), "wrong instruction index", (2,)),
    "no such task": (set_rows("task_index", EPISODE_2, 9), "wrong instruction index", (2,)),
    "statistics": (set_mean(STATE), "statistics do not match", ()),
    "picture statistics": (set_mean(WRIST), "statistics do not match", ()),
    "no statistics": (lambda r: (r / "meta/stats.json").unlink(), "missing statistics", ()),
    "size": (lambda r: toys.edit_json(
        r, "info.json", lambda i: i["features"][FRONT].update(shape=[96, 96, 3])),
        "wrong picture size", ALL),
    "old version": (lambda r: toys.edit_json(
        r, "info.json", lambda i: i.update(codebase_version="v2.1")), "unreadable dataset", ()),
}  # fmt: skip


@pytest.fixture(scope="module")
def sound_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.write(tmp_path_factory.mktemp("doctor") / "sound", toys.sound_set())


def found(path: Path) -> dict[str, tuple[int, ...]]:
    """Episodes by the name of the finding."""
    return {finding.name: finding.episodes for finding in examine(path).findings}


def test_a_sound_dataset_has_no_finding(sound_path: Path):
    assert found(sound_path) == {}


def test_videos_alone_are_sound(tmp_path: Path):
    episodes = [Recorded(one.images, {}, "") for one in toys.sound_set()]
    assert found(toys.write(tmp_path / "videos", episodes)) == {}


def test_a_robot_that_rests_is_no_frozen_camera(tmp_path: Path):
    episodes = toys.sound_set()
    for one in episodes:
        for key, values in (*one.columns.items(), *one.images.items()):
            rest = np.repeat(values[-1:], 3 * FPS, axis=0)
            if key == ACTION:
                rest[:, :6] = 0
            store = one.columns if key in one.columns else one.images
            store[key] = np.concatenate([values, rest])
    assert found(toys.write(tmp_path / "resting", episodes)) == {}


@pytest.mark.parametrize("defect", BEFORE)
def test_what_was_recorded_wrongly_is_named(defect: str, tmp_path: Path):
    plant, name, numbers = BEFORE[defect]
    episodes = toys.sound_set()
    plant(episodes)
    path = toys.write(tmp_path / "ill", episodes)
    findings = found(path)
    assert findings.get(name) == numbers, findings


@pytest.mark.parametrize("defect", AFTER)
def test_what_was_damaged_later_is_named(defect: str, sound_path: Path, tmp_path: Path):
    plant, name, numbers = AFTER[defect]
    path = Path(shutil.copytree(sound_path, tmp_path / "ill"))
    plant(path)
    findings = found(path)
    assert findings.get(name) == numbers, findings


def test_old_samples_are_named(tmp_path: Path):
    episodes = toys.sound_set()
    for one in episodes:
        one.columns[toys.AGES] = np.full((LENGTH, 2), 0.04, np.float32)
    episodes[4].columns[toys.AGES][10:30, 1] = np.linspace(0, 1, 20)
    assert found(toys.write(tmp_path / "old", episodes)) == {"stale stream": (4,)}


def test_findings_say_what_and_where(tmp_path: Path):
    episodes = toys.sound_set()
    freeze(episodes[2].images[WRIST])
    (finding,) = examine(toys.write(tmp_path / "ill", episodes)).findings
    assert "episode 2" in finding.said and WRIST in finding.said
    assert finding.cure.endswith(".") and finding.severity == "fault"


def test_a_frozen_camera_among_videos_alone(tmp_path: Path):
    episodes = [Recorded(one.images, {}, "") for one in toys.sound_set()]
    freeze(episodes[1].images[FRONT])
    assert found(toys.write(tmp_path / "videos", episodes)) == {"frozen camera": (1,)}


def test_every_frame_is_decoded_on_request(sound_path: Path):
    path = sound_path
    quick, thorough = examine(path).patient, examine(path, every_frame=True).patient
    assert quick is not None and thorough is not None
    for a, b in zip(quick.looks[FRONT], thorough.looks[FRONT], strict=True):
        assert a is not None and b is not None
        np.testing.assert_array_equal(a.pictures, b.pictures)


def test_what_is_no_dataset_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="no LeRobot dataset"):
        examine(tmp_path)
    with pytest.raises(UserError, match="no dataset at"):
        examine(tmp_path / "nowhere")


def check(path: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    data_check_command.add_arguments(parser)
    return data_check_command.run(parser.parse_args([str(path), *words]))


def test_the_command_of_a_sound_dataset(sound_path: Path, capsys: pytest.CaptureFixture[str]):
    assert check(sound_path) == 0
    assert f"{len(CHECKS)} checks passed" in capsys.readouterr().out


def test_the_command_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    episodes = toys.sound_set()
    swap(episodes[3])
    later(episodes[1], -5)
    path = toys.write(tmp_path / "ill", episodes)
    assert check(path, "--report", str(tmp_path / "report")) == 1
    printed = capsys.readouterr().out
    report = (tmp_path / "report/report.md").read_text()
    for text in (printed, report):
        assert "swapped cameras" in text and "shifted actions" in text
    pictures = [line.split("(")[1][:-1] for line in report.splitlines() if line.startswith("![")]
    assert len(pictures) == 4
    for name in pictures:
        assert (tmp_path / "report" / name).read_bytes().startswith(b"\x89PNG")


def test_notes_count_on_request_alone(tmp_path: Path):
    episodes = toys.sound_set()
    for one in episodes:
        one.task = "reach"
    path = toys.write(tmp_path / "one", episodes)
    assert check(path) == 0
    assert check(path, "--strict") == 1
