"""Latents beside a dataset: row for row, file for file, apart from the data themselves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from recordings import write_dataset

from lam_models.command import UserError
from lam_models.data import latents as latents_module
from lam_models.data.latents import LatentOrigin, Latents, LatentsWriter, Rows
from lam_models.data.lerobot_read import Dataset
from lam_models.types import LatentSpec

LENGTHS = (4, 6, 5)
DISCRETE = LatentSpec("toy", "motion", (2, 3), codebook_size=8, gap_s=0.5, weights_hash="ab")
CONTINUOUS = dataclasses.replace(DISCRETE, name="free", codebook_size=0)


@pytest.fixture(params=[True, False], ids=["one file", "many files"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    return Dataset.open(write_dataset(tmp_path / "data", LENGTHS, one_file=request.param))


def rows_of(start: int, stop: int, space: LatentSpec) -> Rows:
    """Every value tells its row."""
    numbers = np.arange(start, stop)
    values = numbers[:, None, None] + np.zeros(space.shape) + np.arange(3) / 10
    codes = np.stack([numbers % 8, numbers // 8], axis=1)
    return Rows(
        values.astype(np.float32),
        codes.astype(np.uint16) if space.codebook_size else None,
        numbers % 3 > 0,
    )


def write(dataset: Dataset, space: LatentSpec = DISCRETE, camera: str = "front") -> LatentsWriter:
    writer = LatentsWriter(dataset, LatentOrigin(space, camera, dataset.content_hash))
    for piece in writer.missing():
        writer.write(piece, rows_of(piece.start, piece.stop, space))
    writer.finish()
    return writer


@pytest.mark.parametrize("space", [DISCRETE, CONTINUOUS], ids=lambda space: space.name)
def test_what_is_written_is_what_is_read_row_for_row(dataset: Dataset, space: LatentSpec):
    write(dataset, space)
    expected = rows_of(0, sum(LENGTHS), space)
    latents = Latents.open(dataset.path)
    assert latents.space == space and latents.origin.camera == "front"
    np.testing.assert_array_equal(latents.rows.values, expected.values)
    np.testing.assert_array_equal(latents.rows.valid, expected.valid)
    assert (latents.rows.codes is None) == (space.codebook_size == 0)
    if latents.rows.codes is not None and expected.codes is not None:
        np.testing.assert_array_equal(latents.rows.codes, expected.codes)


def test_files_match_those_of_the_data(dataset: Dataset):
    path = write(dataset).path
    for theirs in sorted((dataset.path / "data").glob("*/*.parquet")):
        ours = pq.read_table(path / theirs.parent.name / theirs.name)
        data = pq.read_table(theirs)
        for name in ("index", "episode_index", "frame_index"):
            assert ours[name].to_pylist() == data[name].to_pylist()
        assert ours["motion_codes"].type.value_type == "uint16"
        assert ours["motion_values"].type.list_size == 6


def test_the_data_are_the_same_data_with_and_without(dataset: Dataset):
    before = dataset.content_hash
    write(dataset)
    assert Dataset.open(dataset.path).content_hash == before


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latents_module, "_PIECE_ROWS", 3)


@pytest.mark.usefixtures("small_pieces")
def test_what_is_written_is_never_written_again(dataset: Dataset):
    """Whatever the piece after which it stopped, and even before the pieces are joined."""
    origin = LatentOrigin(DISCRETE, "front", dataset.content_hash)
    whole = LatentsWriter(dataset, origin).missing()
    assert len(whole) >= 5
    for done in range(len(whole)):
        writer = LatentsWriter(dataset, origin)
        assert writer.missing() == whole[done:]
        with pytest.raises(UserError, match="is missing: label the dataset again"):
            Latents.open(dataset)
        piece = writer.missing()[0]
        writer.write(piece, rows_of(piece.start, piece.stop, DISCRETE))
    last = LatentsWriter(dataset, origin)
    assert last.missing() == []
    last.finish()
    assert last.missing() == []
    assert not [path for path in last.path.rglob("*") if path.suffix in (".partial", ".pieces")]
    expected = rows_of(0, sum(LENGTHS), DISCRETE)
    np.testing.assert_array_equal(Latents.open(dataset).rows.values, expected.values)


def test_spaces_lie_apart_and_are_chosen_by_name_or_hash(dataset: Dataset):
    with pytest.raises(UserError, match="has no latents; write them with: lam label"):
        Latents.open(dataset)
    write(dataset, DISCRETE)
    write(dataset, CONTINUOUS)
    for word in ("free", CONTINUOUS.space_hash, f"free-{CONTINUOUS.space_hash}"):
        assert Latents.open(dataset, word).space == CONTINUOUS
    with pytest.raises(UserError, match="several latent spaces"):
        Latents.open(dataset)
    with pytest.raises(UserError, match="unknown latent space 'fre'"):
        Latents.open(dataset, "fre")


def test_latents_of_another_camera_or_other_data_are_not_mixed(dataset: Dataset):
    path = write(dataset).path
    with pytest.raises(UserError, match="latents of the camera 'front', not 'wrist'"):
        write(dataset, camera="wrist")
    with pytest.raises(UserError, match="what the data were before"):
        LatentsWriter(dataset, LatentOrigin(DISCRETE, "front", "another"))
    spec = path / "spec.json"
    spec.write_text(spec.read_text().replace(dataset.content_hash, "another"))
    with pytest.raises(UserError, match="latents of other data"):
        Latents.open(dataset)


def test_a_truncated_file_is_named(dataset: Dataset):
    file = sorted(write(dataset).path.glob("*/*.parquet"))[0]
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match=f"{file.name} is not a whole parquet file"):
        Latents.open(dataset)


def test_usage_counts_valid_rows_only(tmp_path: Path):
    space = dataclasses.replace(DISCRETE, shape=(1, 1), codebook_size=4)
    codes = np.array([[0], [1], [0], [1], [3]], np.uint16)
    rows = Rows(np.zeros((5, 1, 1), np.float32), codes, np.array([True, True, True, True, False]))
    usage = Latents(tmp_path, LatentOrigin(space, "front", ""), rows).usage()
    assert usage["used_codes"] == 2
    np.testing.assert_allclose(usage["perplexity"], 2.0)
