"""Labels are what the model says of each row's own clip, whatever the batches and interruptions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recordings import FRONT, write_dataset, write_video

from lam_models.checkpoint import CameraSpec, Origin, Spec
from lam_models.command import UserError
from lam_models.data.latents import Latents, LatentsWriter
from lam_models.data.lerobot_read import Dataset
from lam_models.sense.pixels import fit
from lam_models.stages import label_command
from lam_models.stages.label import label
from lam_models.stages.opening import open_system, save_system
from lam_models.systems import find
from lam_models.systems.roles import ClipBatch

LENGTHS, FPS = (12, 5, 9), 10


@pytest.fixture(scope="module")
def lapa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("lapa") / "model", "lapa")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "data", LENGTHS, FPS, one_file=False)


def save(path: Path, name: str) -> Path:
    torch.manual_seed(0)
    kind = find(name)
    model = kind(kind.Config.tiny()).eval()
    size = model.config.image_size
    spec = Spec(cameras=(CameraSpec("images.wrist", size, size),), emits=(model.spec(),))
    return save_system(path, model, name, Origin("data", "none"), spec=spec)


def run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    label_command.add_arguments(parser)
    return label_command.run(parser.parse_args([str(word) for word in words]))


def rows_of(latents: Latents) -> dict[str, Any]:
    return vars(latents.rows)


@pytest.mark.parametrize("name", ["lapa", "igor"])
def test_each_row_has_the_latent_of_its_own_clip(name: str, dataset: Path, tmp_path: Path):
    folder = save(tmp_path / "model", name)
    latents = label(folder, dataset, camera="front", batch_size=7)
    model = open_system(folder).model
    config = model.config
    gap = round(config.gap_s * FPS)
    data = Dataset.open(dataset)
    for e, episode in enumerate(data.episodes):
        images = [fit(i, config.image_size, config.image_size) for i in data.frames(e, FRONT)]
        for present in (0, 1, episode.length - 1 - gap, episode.length - 1):
            if present < 0:
                continue
            times = present + np.floor(
                (np.arange(config.frames) - config.history) * config.gap_s * FPS + 0.5
            ).astype(int)
            clip = np.stack([images[t] for t in times.clip(0, episode.length - 1)])
            frames = torch.from_numpy(clip).movedim(-1, 1).float()[None] / 255
            with torch.no_grad():
                expected = model.encode(ClipBatch(frames)).values[0, config.history].numpy()
            row = episode.start + present
            np.testing.assert_allclose(latents.rows.values[row], expected, atol=1e-5)
            assert latents.rows.valid[row] == (present + gap < episode.length)


def test_batches_and_caches_make_no_difference(lapa: Path, dataset: Path, tmp_path: Path):
    whole = label(lapa, dataset, camera="front")
    other = label(lapa, write_dataset(tmp_path / "again", LENGTHS, FPS), camera=FRONT, batch_size=3)
    np.testing.assert_allclose(whole.rows.values, other.rows.values, atol=1e-5)
    np.testing.assert_array_equal(whole.rows.valid, other.rows.valid)
    assert len(whole.rows.valid) == sum(LENGTHS)


def test_the_camera_is_the_models_own(lapa: Path, dataset: Path):
    assert label(lapa, dataset).origin.camera == "observation.images.wrist"


def test_an_interrupted_run_goes_on_and_ends_the_same(
    lapa: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    reference = label(lapa, write_dataset(tmp_path / "other", LENGTHS, FPS, one_file=False))
    write, calls = LatentsWriter.write, []

    def interrupted(self: LatentsWriter, *args: Any) -> None:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(1)
        write(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(LatentsWriter, "write", interrupted)
        assert run(lapa, dataset) == 130
    assert len(list((dataset / "latents").rglob("*.parquet"))) == len(calls) == 2
    latents = label(lapa, dataset)
    for name, values in rows_of(latents).items():
        np.testing.assert_array_equal(values, rows_of(reference)[name])


def test_the_command_says_where_and_how_codes_are_used(
    lapa: Path, dataset: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(lapa, dataset, "--device", "cpu") == 0
    said = capsys.readouterr().out
    assert str(dataset / "latents" / "lapa-") in said
    assert f"{sum(LENGTHS)} rows" in said and "perplexity" in said


def test_what_cannot_be_labelled_is_named(lapa: Path, dataset: Path, tmp_path: Path):
    write_video(tmp_path / "videos" / "a.mp4", 10)
    with pytest.raises(UserError, match="is no LeRobot dataset"):
        label(lapa, tmp_path / "videos")
    with pytest.raises(UserError, match="unknown camera 'top'"):
        label(lapa, dataset, camera="top")
