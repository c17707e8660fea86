"""Latents of a dataset, beside its data: columns of their own, row for row.

    <dataset>/latents/<space's name>-<space's hash>/
      spec.json                         the latent space, the camera, the data they belong to
      chunk-000/file-000.parquet        the rows of data/chunk-000/file-000.parquet
        index episode_index frame_index int64
        motion_codes                    list<uint16> of tokens, of a discrete space only
        motion_values                   list<float32> of tokens x dim, row by row
        motion_valid                    bool: whether the gap ends within the episode

LeRobot reads none of it, and it is no part of the dataset's content hash. A file under its own name
is whole; until it is, its rows gather in pieces in file-000.pieces/, and an interrupted labelling
goes on with the next piece.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool, Float32, UInt16

from lam_models.command import UserError, unknown
from lam_models.data.lerobot_layout import LATENTS, PSEUDO_ACTIONS, column_values
from lam_models.data.lerobot_read import Dataset
from lam_models.strict_json import from_json, to_json
from lam_models.types import LatentSpec

# Actions that a network read from video (data/pseudo_actions.py) lie in a folder of their own.
_MAKERS = {LATENTS: "lam label MODEL DATASET", PSEUDO_ACTIONS: "lam label-actions MODEL DATASET"}
_SPEC = "spec.json"
# What an interruption costs at most.
_PIECE_ROWS = 2048
_ROW_NAMES = ("index", "episode_index", "frame_index")


@dataclass(frozen=True)
class LatentOrigin:
    """spec.json. camera: its key. content_hash: of the dataset the rows belong to."""

    space: LatentSpec
    camera: str
    content_hash: str


@dataclass(frozen=True)
class Rows:
    """Latents of some rows of a dataset; `valid` where the gap ends within the episode."""

    values: Float32[np.ndarray, "rows tokens dim"]
    codes: UInt16[np.ndarray, "rows tokens"] | None
    valid: Bool[np.ndarray, " rows"]


@dataclass(frozen=True)
class DataFile:
    """A data file of the dataset, rows start, ... stop - 1, and where their latents go."""

    start: int
    stop: int
    target: Path


@dataclass(frozen=True)
class Piece:
    """Rows start, ... stop - 1 of a dataset, and where they wait for the rest of their file."""

    start: int
    stop: int
    target: Path


class LatentsWriter:
    """Writes the latents of a dataset piece by piece; goes on where another stopped.

    Raises UserError where latents of the same space but another camera or other data lie.
    """

    def __init__(self, dataset: Dataset, origin: LatentOrigin, folder: str = LATENTS) -> None:
        self._dataset, self._space = dataset, origin.space
        space = origin.space
        self.path = dataset.path / folder / f"{space.name}-{space.space_hash}"
        self.path.mkdir(parents=True, exist_ok=True)
        spec = self.path / _SPEC
        if not spec.exists():
            partial = spec.with_name(_SPEC + ".partial")
            partial.write_text(json.dumps(to_json(origin), indent=2) + "\n", encoding="utf-8")
            partial.rename(spec)
        else:
            _check_same(origin, _read_origin(self.path), self.path)

    def missing(self) -> list[Piece]:
        """What is still to be written, in order."""
        files = [one for one in data_files(self._dataset, self.path) if not one.target.exists()]
        return [p for file in files for p in _pieces(file) if not p.target.exists()]

    def write(self, piece: Piece, rows: Rows) -> None:
        """Keep the rows of one piece."""
        if len(rows.values) != piece.stop - piece.start:
            raise ValueError(f"{len(rows.values)} rows for {piece.start}:{piece.stop}")
        columns = {
            name: self._dataset.column(name)[piece.start : piece.stop, 0] for name in _ROW_NAMES
        }
        arrays: dict[str, pa.Array] = {name: pa.array(v) for name, v in columns.items()}
        if rows.codes is not None:
            arrays["motion_codes"] = _lists(rows.codes)
        arrays["motion_values"] = _lists(rows.values.reshape(len(rows.values), -1))
        arrays["motion_valid"] = pa.array(rows.valid)
        piece.target.parent.mkdir(parents=True, exist_ok=True)
        partial = piece.target.with_suffix(".partial")
        pq.write_table(pa.table(arrays), partial)
        partial.rename(piece.target)

    def finish(self) -> None:
        """Join the pieces of each file; none may be missing."""
        for file in data_files(self._dataset, self.path):
            pieces = list(_pieces(file))
            if not file.target.exists():
                partial = file.target.with_suffix(".partial")
                with pq.ParquetWriter(partial, pq.read_schema(pieces[0].target)) as joined:
                    for piece in pieces:
                        joined.write_table(pq.read_table(piece.target))
                partial.rename(file.target)
            shutil.rmtree(pieces[0].target.parent, ignore_errors=True)


@dataclass(frozen=True)
class Latents:
    """Row i belongs to row i of the dataset's columns. `Latents.open` reads them."""

    path: Path
    origin: LatentOrigin
    rows: Rows

    @classmethod
    def open(
        cls, dataset: Dataset | Path | str, space: str | None = None, folder: str = LATENTS
    ) -> Latents:
        """The latents of a space, by its name, its hash or both ("lapa-0123456789abcdef").

        None takes the only one. Raises UserError for unknown, unfinished or outdated ones.
        """
        if not isinstance(dataset, Dataset):
            dataset = Dataset.open(dataset)
        path = _chosen(dataset.path / folder, space)
        origin = _read_origin(path)
        if origin.content_hash != dataset.content_hash:
            raise UserError(f"{path} are latents of other data than {dataset.path} holds now")
        parts = [_read(dataset, one, origin.space) for one in data_files(dataset, path)]
        codes = [part.codes for part in parts if part.codes is not None]
        rows = Rows(
            values=np.concatenate([part.values for part in parts]),
            codes=np.concatenate(codes) if codes else None,
            valid=np.concatenate([part.valid for part in parts]),
        )
        return cls(path, origin, rows)

    @property
    def space(self) -> LatentSpec:
        return self.origin.space

    def usage(self) -> Mapping[str, float]:
        """Used codes and perplexity over valid rows, mean of tokens; {} of a continuous space."""
        if self.rows.codes is None:
            return {}
        codes, size = self.rows.codes[self.rows.valid], self.space.codebook_size
        if not len(codes):
            return {"used_codes": 0.0, "perplexity": 0.0}
        counts = np.stack([np.bincount(token, minlength=size) for token in codes.T])
        share = counts / counts.sum(axis=1, keepdims=True)
        entropy = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=1)
        return {
            "used_codes": float((counts > 0).sum(axis=1).mean()),
            "perplexity": float(np.exp(entropy).mean()),
        }


def data_files(dataset: Dataset, path: Path) -> Iterator[DataFile]:
    """The dataset's data files in order of their rows; `path` is the folder of the latents."""
    episodes = dataset.episodes
    first = 0
    for i, episode in enumerate(episodes):
        if i + 1 < len(episodes) and episodes[i + 1].data == episode.data:
            continue
        relative = Path(episode.data.parent.name) / episode.data.name
        yield DataFile(episodes[first].start, episode.stop, path / relative)
        first = i + 1


def _pieces(file: DataFile) -> Iterator[Piece]:
    folder = file.target.with_suffix(".pieces")
    for start in range(file.start, file.stop, _PIECE_ROWS):
        stop = min(start + _PIECE_ROWS, file.stop)
        yield Piece(start, stop, folder / f"{start}.parquet")


def _chosen(root: Path, space: str | None) -> Path:
    known = sorted(path for path in root.glob("*") if (path / _SPEC).is_file())
    if not known:
        raise UserError(f"{root.parent} has no {root.name}; write them with: {_MAKERS[root.name]}")
    names = [path.name for path in known]
    fitting = [
        path
        for path in known
        if space is None or space in (path.name, *path.name.rpartition("-")[::2])
    ]
    if not fitting:
        raise unknown("latent space", str(space), names)
    if len(fitting) > 1:
        raise UserError(f"{root} holds several latent spaces ({', '.join(names)}): say which")
    return fitting[0]


def _check_same(wanted: LatentOrigin, found: LatentOrigin, path: Path) -> None:
    if found.content_hash != wanted.content_hash:
        raise UserError(f"{path} holds latents of what the data were before; remove it")
    if found.camera != wanted.camera:
        raise UserError(
            f"{path} holds latents of the camera '{found.camera}', not '{wanted.camera}'; remove it"
        )


def _read_origin(path: Path) -> LatentOrigin:
    where = path / _SPEC
    try:
        return from_json(LatentOrigin, json.loads(where.read_text(encoding="utf-8")), str(where))
    except json.JSONDecodeError as error:
        raise UserError(f"{where} is not valid JSON: {error}") from error


def _read(dataset: Dataset, file: DataFile, space: LatentSpec) -> Rows:
    if not file.target.exists():
        raise UserError(f"{file.target} is missing: label the dataset again, which goes on there")
    try:
        table = pq.read_table(file.target)
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{file.target} is not a whole parquet file: {error}") from error
    index = column_values(table["index"])
    if not np.array_equal(index, dataset.column("index")[file.start : file.stop]):
        raise UserError(f"{file.target} has other rows than {dataset.path}")
    discrete = "motion_codes" in table.column_names
    return Rows(
        values=column_values(table["motion_values"]).reshape(-1, *space.shape),
        codes=column_values(table["motion_codes"]) if discrete else None,
        valid=column_values(table["motion_valid"])[:, 0],
    )


def _lists(values: np.ndarray) -> pa.Array:
    """A list of fixed length a row."""
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
