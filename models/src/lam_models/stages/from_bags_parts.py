"""What a conversion has done so far, one folder a recording, so that it can be taken up again.

    <dataset>.parts/<recording>/part.json       key, schema, episodes, notes
    <dataset>.parts/<recording>/<i>.npz         columns of its i-th episode, histograms of pixels
    <dataset>.parts/<recording>/<i>.<camera>.mp4

A part counts only under the key it was made with: the recording's files and every setting. It gets
its name when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lam_models.data.bags.convert import Conversion
from lam_models.data.bags.recording import SIDECAR, Recording
from lam_models.data.episode import EncodedEpisode
from lam_models.data.lerobot_layout import Info, Schema, Totals, info_from_json, info_to_json
from lam_models.data.statistics import PixelHistogram

# Goes up when frames are made differently: older parts are then made again.
_MAKING = 1
_COLUMN, _PIXELS = "column/", "pixels/"
_PART = "part.json"


@dataclass(frozen=True)
class Part:
    """A converted recording. frames: of each of its episodes. span_s: of the recording."""

    name: str
    folder: Path
    schema: Schema
    instruction: str
    outcome: str
    frames: tuple[int, ...]
    span_s: float
    notes: tuple[str, ...]

    def episodes(self) -> list[EncodedEpisode]:
        """Read from disk; one part at a time is in memory."""
        return [_load(self, i) for i in range(len(self.frames))]


def part_key(recording: Recording, robot: Mapping[str, Any], wanted: Conversion) -> str:
    """Changes with whatever the part depends on."""
    files = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in recording.files]
    sidecar = recording.path / SIDECAR
    text = sidecar.read_text(encoding="utf-8") if sidecar.exists() else ""
    content = [_MAKING, files, text, robot, asdict(wanted)]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def find_part(folder: Path, key: str) -> Part | None:
    """The part in `folder`, if it is the one of this key."""
    file = folder / _PART
    if not file.exists():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    if content.pop("key") != key:
        return None
    info = info_from_json(content.pop("info"), str(file))
    for name in ("frames", "notes"):
        content[name] = tuple(content[name])
    return Part(folder=folder, schema=info.schema, **content)


def save_part(part: Part, key: str, episodes: Sequence[EncodedEpisode]) -> None:
    """Write it, in place of an older one."""
    partial = part.folder.with_name(part.folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for i, episode in enumerate(episodes):
        _save(partial, i, episode)
    content = {
        "key": key,
        "name": part.name,
        "info": info_to_json(Info(part.schema, Totals(0, 0, 0))),
        "instruction": part.instruction,
        "outcome": part.outcome,
        "frames": part.frames,
        "span_s": part.span_s,
        "notes": part.notes,
    }
    (partial / _PART).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    shutil.rmtree(part.folder, ignore_errors=True)
    partial.rename(part.folder)


def _save(folder: Path, number: int, episode: EncodedEpisode) -> None:
    arrays = {_COLUMN + name: values for name, values in episode.columns.items()}
    for name, pixels in episode.pixels.items():
        arrays[_PIXELS + name] = pixels.counts
        arrays[f"{_PIXELS}{name}/frames"] = np.array(pixels.frames)
    with (folder / f"{number}.npz").open("wb") as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]
    for name, video in episode.videos.items():
        (folder / f"{number}.{name}.mp4").write_bytes(video)


def _load(part: Part, number: int) -> EncodedEpisode:
    pixels = {}
    with np.load(part.folder / f"{number}.npz", allow_pickle=False) as stored:
        columns = {name: stored[_COLUMN + name] for name in part.schema.columns}
        for name in part.schema.cameras:
            pixels[name] = PixelHistogram()
            pixels[name].counts = stored[_PIXELS + name]
            pixels[name].frames = int(stored[f"{_PIXELS}{name}/frames"])
    return EncodedEpisode(
        task=part.instruction,
        length=part.frames[number],
        columns=columns,
        videos={
            name: (part.folder / f"{number}.{name}.mp4").read_bytes()
            for name in part.schema.cameras
        },
        pixels=pixels,
    )
