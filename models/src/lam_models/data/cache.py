"""Frames as training reads them: decoded once, resized, in one memory-mapped file.

A cache is a folder named by what it holds (content hash, camera, size, kind):

    frames.raw or frames.jpeg   uint8 frames one after the other, or their JPEGs
    offsets.npy                 where each JPEG begins, and the end (jpeg only)
    columns.npz                 numbers of each frame, of the features that clips carry
    cache.json                  episodes, rates, instructions, names, and what was left out

`raw` is read fastest; `jpeg` takes about a tenth of the space. Caches lie below $LAM_CACHE, by
default ~/.cache/lam, and may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lam_models.command import UserError, unknown
from lam_models.data.sources import Recording, Source, open_source
from lam_models.sense import pixels

Kind = Literal["raw", "jpeg"]
KINDS = ("raw", "jpeg")
_JPEG_QUALITY = 95


@dataclass(frozen=True)
class CachedEpisode:
    """Rows start, ... stop - 1 of the cache. number: of the episode in its source."""

    number: int
    name: str
    start: int
    stop: int
    fps: float
    instruction: str


@dataclass(frozen=True)
class FrameCache:
    """An open cache; safe to read from several threads.

    columns: "action", "observation.state", "observation.environment_state" where recorded.
    skipped: one sentence for each episode that was left out.
    """

    folder: Path
    kind: Kind
    size: int
    camera: str
    content_hash: str
    episodes: tuple[CachedEpisode, ...]
    columns: Mapping[str, Float32[np.ndarray, "rows column"]]
    names: Mapping[str, tuple[str, ...]]
    skipped: tuple[str, ...]
    bytes: UInt8[np.ndarray, "..."]
    offsets: Int64[np.ndarray, " rows+1"] | None = None

    def frames(
        self, rows: Int64[np.ndarray, "*shape"]
    ) -> UInt8[np.ndarray, "*shape {self.size} {self.size} 3"]:
        """Copies of the frames of these rows."""
        if self.offsets is None:
            return self.bytes[rows]
        flat = rows.ravel()
        out = np.empty((len(flat), self.size, self.size, 3), np.uint8)
        for i, row in enumerate(flat):
            blob = self.bytes[self.offsets[row] : self.offsets[row + 1]]
            out[i] = pixels.decode_compressed(blob, "jpeg")
        return out.reshape(*rows.shape, self.size, self.size, 3)


def open_cache(
    source: Path | str,
    *,
    camera: str | None = None,
    size: int,
    kind: Kind = "raw",
    folder: Path | None = None,
    strict: bool = False,
) -> FrameCache:
    """The cache of a dataset or a folder of videos; built first, with a bar, where it is missing.

    size: pixels of a side of the square that frames are cropped and resized to.
    folder: where caches lie. strict: raise UserError for a damaged episode instead of skipping it.
    """
    if kind not in KINDS:
        raise unknown("kind of cache", kind, KINDS)
    opened = open_source(Path(source), camera)
    root = folder or default_folder()
    camera_part = opened.camera.rpartition(".")[2]
    place = root / f"{opened.content_hash[:16]}-{camera_part}-{size}-{kind}"
    if not place.exists():
        _build(opened, place, size, kind)
    cache = _open(place)
    if cache.skipped:
        said = f"{source}: {len(cache.skipped)} damaged or empty: {'; '.join(cache.skipped)}"
        if strict:
            raise UserError(said)
        print(f"left out of {said}", flush=True)
    if not cache.episodes:
        raise UserError(f"{source} has no whole episode")
    return cache


def default_folder() -> Path:
    """$LAM_CACHE, or `lam` in the user's cache folder."""
    if named := os.environ.get("LAM_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lam"


def _build(source: Source, place: Path, size: int, kind: Kind) -> None:
    """Write beside the place and rename, so that a cache is whole or absent."""
    partial = place.with_name(f"{place.name}.partial-{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with (partial / f"frames.{kind}").open("wb") as file:
            writer = _Writer(file, size, kind)
            for recording in _with_bar(source):
                writer.add(recording)
        writer.finish(partial, source)
        if place.exists():  # Another process was faster.
            shutil.rmtree(partial)
        else:
            partial.rename(place)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _with_bar(source: Source) -> Iterator[Recording]:
    bar = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*bar, TimeRemainingColumn(), transient=True) as progress:
        title = f"reading {source.path.name} ({source.camera.rpartition('.')[2]})"
        yield from progress.track(source.recordings, description=title)


class _Writer:
    """Appends whole episodes; one that breaks off is taken back."""

    def __init__(self, file: BinaryIO, size: int, kind: Kind) -> None:
        self._file, self._size, self._kind = file, size, kind
        self._rows = 0
        self._offsets = [0]
        self._episodes: list[CachedEpisode] = []
        self._columns: dict[str, list[np.ndarray]] = {}
        self._skipped: list[str] = []
        self._shapes: dict[tuple[int, int], int] = {}

    def add(self, recording: Recording) -> None:
        began, position = self._rows, self._file.tell()
        shape = None
        try:
            for images in recording.read():
                self._add_images(images)
                shape = images.shape[1:3]
            if shape is None:
                raise UserError("it has no frames")
        except UserError as error:
            self._file.seek(position)
            self._file.truncate()
            self._rows, self._offsets = began, self._offsets[: began + 1]
            self._skipped.append(f"{recording.name} ({error})")
            return
        self._shapes[shape] = self._shapes.get(shape, 0) + 1
        for key, values in recording.columns.items():
            self._columns.setdefault(key, []).append(values)
        self._episodes.append(
            CachedEpisode(
                recording.number, recording.name, began, self._rows, recording.fps,
                recording.instruction,
            )
        )  # fmt: skip

    def finish(self, folder: Path, source: Source) -> None:
        if len(self._shapes) > 1:
            said = ", ".join(f"{n} of {w}x{h}" for (h, w), n in self._shapes.items())
            print(f"{source.path}: sizes differ ({said}); all are cropped to a square", flush=True)
        if self._kind == "jpeg":
            np.save(folder / "offsets.npy", np.array(self._offsets, np.int64))
        whole = {key: np.concatenate(parts) for key, parts in self._columns.items()}
        np.savez(folder / "columns.npz", **whole)  # pyright: ignore[reportArgumentType]
        facts = {
            "kind": self._kind,
            "size": self._size,
            "camera": source.camera,
            "content_hash": source.content_hash,
            "names": {key: list(names) for key, names in source.names.items()},
            "episodes": [asdict(episode) for episode in self._episodes],
            "skipped": [*source.damaged, *self._skipped],
        }
        (folder / "cache.json").write_text(json.dumps(facts, ensure_ascii=False) + "\n")

    def _add_images(self, images: UInt8[np.ndarray, "some h w 3"]) -> None:
        for image in images:
            fitted = pixels.fit(image, self._size, self._size)
            self._file.write(_jpeg(fitted) if self._kind == "jpeg" else fitted.tobytes())
            self._rows += 1
            self._offsets.append(self._file.tell())


def _jpeg(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    options = (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    assert done
    return data.tobytes()


def _open(place: Path) -> FrameCache:
    facts: dict[str, Any] = json.loads((place / "cache.json").read_text())
    episodes = tuple(CachedEpisode(**entry) for entry in facts["episodes"])
    kind, size = facts["kind"], facts["size"]
    rows = episodes[-1].stop if episodes else 0
    file, offsets = place / f"frames.{kind}", None
    held = np.zeros(0, np.uint8)
    if rows:
        shape = (rows, size, size, 3) if kind == "raw" else (file.stat().st_size,)
        held = np.memmap(file, np.uint8, mode="r", shape=shape)
    if kind == "jpeg":
        offsets = np.load(place / "offsets.npy")
    with np.load(place / "columns.npz") as arrays:
        columns = {key: arrays[key] for key in arrays.files}
    return FrameCache(
        folder=place,
        kind=kind,
        size=size,
        camera=facts["camera"],
        content_hash=facts["content_hash"],
        episodes=episodes,
        columns=columns,
        names={key: tuple(names) for key, names in facts["names"].items()},
        skipped=tuple(facts["skipped"]),
        bytes=held,
        offsets=offsets,
    )
