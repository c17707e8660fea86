"""An episode is shown whole, without a display and without rerun."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import av
import doctor_toys as toys
import numpy as np
import pytest
from doctor_toys import FPS, LENGTH

from lam_models.command import UserError
from lam_models.data.latents import LatentOrigin, LatentsWriter, Rows
from lam_models.data.lerobot_read import Dataset
from lam_models.stages import view_command, view_rerun
from lam_models.stages.view_shown import gather
from lam_models.types import LatentSpec


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toys.write(tmp_path_factory.mktemp("view") / "set", toys.sound_set(3))


@pytest.fixture
def no_rerun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_rerun, "installed", lambda: False)


def view(*words: str) -> int:
    parser = argparse.ArgumentParser()
    view_command.add_arguments(parser)
    return view_command.run(parser.parse_args(list(words)))


def add_codes(path: Path, tokens: int = 2) -> None:
    opened = Dataset.open(path)
    space = LatentSpec("toy", "motion", (tokens, 3), 16, 0.5)
    origin = LatentOrigin(space, opened.cameras[0], opened.content_hash)
    writer = LatentsWriter(opened, origin)
    for piece in writer.missing():
        rows = np.arange(piece.start, piece.stop)
        codes = np.stack([rows % 16, rows % 5], axis=1).astype(np.uint16)
        values = np.zeros((len(rows), tokens, 3), np.float32)
        writer.write(piece, Rows(values, codes, rows % LENGTH < LENGTH - 10))
    writer.finish()


def test_an_episode_is_gathered(dataset: Path):
    shown = gather(dataset, 1)
    assert shown.instruction == toys.TASKS[1] and shown.length == LENGTH
    assert shown.path_m is not None and shown.path_m.shape == (LENGTH, 3)
    assert list(shown.panels["end effector [m]"]) == ["ee.x_m", "ee.y_m", "ee.z_m"]
    assert list(shown.panels["hand command or latent"]) == ["gripper_width"]
    assert shown.gaps == () and shown.codes is None
    pictures = [shown.pictures(0), shown.pictures(32)]
    assert [len(p[toys.FRONT]) for p in pictures] == [32, LENGTH - 32]


def test_codes_and_gaps_are_shown(tmp_path: Path):
    path = toys.write(tmp_path / "set", toys.sound_set(2))
    late = slice(LENGTH + 20, 2 * LENGTH)
    toys.edit_column(path, "timestamp", lambda v: v.__setitem__(late, v[late] + np.float32(1.0)))
    add_codes(path)
    shown = gather(path, 1)
    assert shown.codes is not None and shown.codes.shape == (2, LENGTH)
    assert (shown.codes[:, -10:] == -1).all() and (shown.codes[:, :-10] >= 0).all()
    (gap,) = shown.gaps
    assert gap.frame == 19 and gap.missing_s == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(UserError, match="unknown latent space 'other'"):
        gather(path, 1, "other")


@pytest.mark.usefixtures("no_rerun")
def test_without_rerun_a_film_and_a_sheet(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISPLAY", ":0")
    assert view(str(dataset), "--episode", "2") == 0
    film = tmp_path / "out/view/set-episode-002.mp4"
    assert str(film.relative_to(tmp_path)) in capsys.readouterr().out
    with av.open(str(film)) as opened:
        stream = opened.streams.video[0]
        assert (stream.frames, stream.average_rate) == (LENGTH, FPS)
    assert film.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("no_rerun")
def test_videos_alone_make_a_film(tmp_path: Path):
    episodes = [toys.Recorded(one.images, {}, "") for one in toys.sound_set(1)]
    path = toys.write(tmp_path / "videos", episodes)
    assert view(str(path), "--out", str(tmp_path / "film.mp4")) == 0
    assert view(str(path), "--out", str(tmp_path / "sheet.png")) == 0
    with av.open(str(tmp_path / "film.mp4")) as opened:
        assert opened.streams.video[0].frames == LENGTH


@pytest.mark.usefixtures("no_rerun")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "a.rrd"), "rerun-sdk is not installed"),
        (("--out", "a.gif"), "must end in"),
        (("--episode", "7"), "has no episode 7; allowed: 0 to 2"),
    ],
)
def test_what_cannot_be_shown_is_refused(words: tuple[str, ...], message: str, dataset: Path):
    with pytest.raises(UserError, match=message):
        view(str(dataset), *words)


def test_what_is_nothing_to_show_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="neither a LeRobot dataset nor a recorded episode"):
        view(str(tmp_path))


class FakeRerun:
    """Counts what is logged, by the first part of its name."""

    def __init__(self) -> None:
        self.logged: dict[str, int] = {}
        self.saved: str | None = None
        for name in ("Scalars", "TextDocument", "LineStrips3D", "Points3D", "TextLog"):
            setattr(self, name, lambda *a, **k: (a, k))
        self.ViewCoordinates = SimpleNamespace(RIGHT_HAND_Z_UP=None)

    def RecordingStream(self, *_, **__) -> FakeRerun:
        return self

    def Image(self, picture: np.ndarray) -> SimpleNamespace:
        assert picture.dtype == np.uint8
        return SimpleNamespace(compress=lambda jpeg_quality: picture)

    def log(self, name: str, *_, **__) -> None:
        root = name.partition("/")[0]
        self.logged[root] = self.logged.get(root, 0) + 1

    def save(self, path: str) -> None:
        self.saved = path

    def set_time(self, *_, **__) -> None: ...

    def flush(self) -> None: ...


@pytest.fixture
def rerun(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRerun]:
    fake = FakeRerun()
    monkeypatch.setitem(sys.modules, "rerun", fake)  # type: ignore[arg-type]
    monkeypatch.setattr(view_rerun, "installed", lambda: True)
    yield fake


def test_with_rerun_but_no_display_everything_goes_to_a_file(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rerun: FakeRerun
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert view(str(dataset)) == 0
    assert rerun.saved == "out/view/set-episode-000.rrd"
    assert rerun.logged["cameras"] == 2 * LENGTH
    assert rerun.logged["end_effector"] == 3 * LENGTH
    assert rerun.logged["hand_command_or_latent"] == LENGTH
