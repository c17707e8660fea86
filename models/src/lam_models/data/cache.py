"""Frames of a whole dataset, decoded and resized once, read at random from then on.

    <cache folder>/<content hash>-<camera>-<size>-<kind>/
      cache.json            what it holds: episodes, names of columns, what was left out
      frames.npy            raw: uint8 [frames size size 3], memory-mapped
      frames.jpeg spans.npy jpeg: images one after another; int64 [frames 2], place and length
      <column>.npy          float32 [frames size] of action, state and environment state

A folder is whole or absent, and processes that want the same one build it once. The cache folder is
the argument, or $LAM_CACHE, or $XDG_CACHE_HOME/lam_ros (~/.cache/lam_ros); all of it may be
deleted at any time.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float32, Int64, UInt8
from rich.console import Console

from lam_models.command import UserError, unknown
from lam_models.data.cache_build import build
from lam_models.data.sources import (
    Skipped,
    Source,
    identify,
    open_source,
    refuse,
    report_left_out,
)
from lam_models.strict_json import from_json, to_json

KINDS = ("raw", "jpeg")
# Part of every key: a cache of another layout is not found.
_VERSION = 1
# Share of the raw size that images of video take as JPEG.
_JPEG_SHARE = 0.15
_DECODERS = 8

Rows = Int64[np.ndarray, "*rows"]


@dataclass(frozen=True)
class CachedEpisode:
    """Frames start, ... stop - 1 of a cache, `fps` of them a second.

    index, name: of the episode in its source.
    """

    index: int
    name: str
    fps: float
    instruction: str
    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class Contents:
    """cache.json. names: of the entries of each column."""

    camera: str
    size: int
    kind: str
    content_hash: str
    frames: int
    episodes: tuple[CachedEpisode, ...]
    names: dict[str, tuple[str, ...]]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]


class FrameCache:
    """A cache on disk. Safe to read from several threads, and to send to other processes."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        where = self.path / "cache.json"
        self.contents = from_json(Contents, json.loads(where.read_text()), str(where))

    def __reduce__(self) -> tuple[Any, ...]:
        return FrameCache, (self.path,)

    @property
    def episodes(self) -> tuple[CachedEpisode, ...]:
        return self.contents.episodes

    @property
    def camera(self) -> str:
        """The camera's key in its source."""
        return self.contents.camera

    @property
    def size(self) -> int:
        """Pixels of a side."""
        return self.contents.size

    @property
    def content_hash(self) -> str:
        """Names the data the frames come from."""
        return self.contents.content_hash

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Names of the entries of each column that there is, by its key."""
        return self.contents.names

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """What was left out of the source."""
        return self.contents.skipped

    @property
    def instructions(self) -> tuple[str, ...]:
        """One an episode."""
        return tuple(episode.instruction for episode in self.episodes)

    def frames(self, rows: Rows) -> UInt8[np.ndarray, "*rows size size 3"]:
        """The images of these rows."""
        if self.contents.kind == "raw":
            return self._raw[rows]
        flat = rows.ravel()
        out = np.empty((len(flat), self.size, self.size, 3), np.uint8)

        def decode(i: int) -> None:
            start, length = self._spans[flat[i]]
            pixels = cv2.imdecode(self._blobs[start : start + length], cv2.IMREAD_COLOR)
            assert pixels is not None
            cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=out[i])

        list(self._decoders.map(decode, range(len(flat))))
        return out.reshape(*rows.shape, *out.shape[1:])

    def column(self, key: str) -> Float32[np.ndarray, "frames size"] | None:
        """One column over all rows, None where the source has none of this name."""
        if key not in self.names:
            return None
        if key not in self._columns:
            self._columns[key] = np.load(self.path / f"{key}.npy", mmap_mode="r")
        return self._columns[key]

    @cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        return {}

    @cached_property
    def _raw(self) -> np.ndarray:
        return np.load(self.path / "frames.npy", mmap_mode="r")

    @cached_property
    def _spans(self) -> np.ndarray:
        return np.load(self.path / "spans.npy")

    @cached_property
    def _blobs(self) -> np.ndarray:
        return np.memmap(self.path / "frames.jpeg", np.uint8, "r")

    @cached_property
    def _decoders(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(min(_DECODERS, os.cpu_count() or 1), "jpeg")


def open_cache(
    source: Path | str,
    *,
    camera: str | None,
    size: int,
    kind: str = "raw",
    folder: Path | str | None = None,
    strict: bool = False,
) -> FrameCache:
    """The frames of a LeRobot dataset or a folder of videos, `size` pixels square, built if absent.

    camera: key of one of the dataset's cameras, or its last word; None takes the first.
    kind: "raw" reads fastest; "jpeg" takes a tenth of the space.
    strict: refuse damaged, empty and too short episodes instead of leaving them out.
    """
    if kind not in KINDS:
        raise unknown("kind of cache", kind, KINDS)
    identity = identify(source, camera)
    word = identity.camera.rpartition(".")[2]
    root = cache_folder(folder)
    target = root / f"v{_VERSION}-{identity.content_hash[:16]}-{word}-{size}-{kind}"
    root.mkdir(parents=True, exist_ok=True)
    with _locked(target):
        if not target.exists():
            opened = open_source(identity)
            if strict:
                refuse(opened.skipped, identity.path)
            _build(target, opened, size, kind)
    cache = FrameCache(target)
    if strict:
        refuse(cache.skipped, identity.path)
    _report(cache, identity.path)
    return cache


def cache_folder(folder: Path | str | None = None) -> Path:
    """Where caches lie: the argument, or $LAM_CACHE, or lam_ros in the user's cache folder."""
    if folder is not None:
        return Path(folder)
    if chosen := os.environ.get("LAM_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lam_ros"


def _build(target: Path, source: Source, size: int, kind: str) -> None:
    """Build beside the target and rename; the caller holds its lock."""
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    _check_space(target.parent, source, size, kind)
    partial.mkdir()
    try:
        built = build(partial, source, size, kind)
        skipped = (*source.skipped, *built.skipped)
        if not built.spans:
            refuse(skipped, source.path)
            raise UserError(f"{source.path} holds no episodes")
        episodes = tuple(
            CachedEpisode(one.index, one.name, one.fps, one.instruction, start, stop)
            for one, (start, stop) in built.spans
        )
        contents = Contents(
            camera=source.camera,
            size=size,
            kind=kind,
            content_hash=source.content_hash,
            frames=built.frames,
            episodes=episodes,
            names=dict(source.names),
            skipped=skipped,
            notes=source.notes,
        )
        (partial / "cache.json").write_text(json.dumps(to_json(contents)) + "\n")
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_space(root: Path, source: Source, size: int, kind: str) -> None:
    raw = sum(episode.length for episode in source.episodes) * size * size * 3
    needed = raw if kind == "raw" else int(raw * _JPEG_SHARE)
    free = shutil.disk_usage(root).free
    if needed > free:
        advice = "choose the kind 'jpeg', or " if kind == "raw" else ""
        raise UserError(
            f"the {kind} cache of {source.path} takes {needed / 1e9:.1f} GB, {root} has "
            f"{free / 1e9:.1f} GB left: {advice}set LAM_CACHE to another disk"
        )


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """One process at a time builds; the others wait and find the result."""
    with target.with_name(target.name + ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _report(cache: FrameCache, path: Path) -> None:
    """Say what is not as the user may think it is."""
    for note in cache.contents.notes:
        Console(stderr=True, highlight=False, markup=False, soft_wrap=True).print(f"{path}: {note}")
    report_left_out(path, cache.skipped, len(cache.skipped) + len(cache.episodes))
