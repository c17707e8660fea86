"""Recordings to a LeRobot v3 dataset: recording by recording into parts, then all into one folder.

A recording that cannot be converted is named with the reason and does not stop the rest.
Interrupted, the same call goes on after the last whole part.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lam_models.command import UserError
from lam_models.data.bags.convert import Conversion
from lam_models.data.bags.recording import Recording, find_recordings
from lam_models.data.lerobot_layout import Schema
from lam_models.data.lerobot_write import DatasetWriter
from lam_models.stages.from_bags_jobs import Job, LeftOut, make_parts
from lam_models.stages.from_bags_parts import Part

_DISCARDED = "discarded"


@dataclass(frozen=True)
class Plan:
    """What to convert and how. robot: in place of what the recordings say; {} for that.

    outcomes: of the episodes that are taken. workers: processes.
    """

    recordings: Path
    out: Path
    wanted: Conversion
    robot: Mapping[str, Any] = field(default_factory=dict)
    outcomes: tuple[str, ...] = ("success", "unknown")
    workers: int = 1
    overwrite: bool = False


@dataclass(frozen=True)
class Converted:
    """The dataset and what it was made of."""

    path: Path
    parts: tuple[Part, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def episodes(self) -> int:
        return sum(len(part.frames) for part in self.parts)

    @property
    def frames(self) -> int:
        return sum(sum(part.frames) for part in self.parts)


def convert(plan: Plan, say: Callable[[str], None] = print) -> Converted:
    """The dataset of all that can be converted. UserError where that is nothing."""
    if plan.out.exists() and not plan.overwrite:
        raise UserError(f"{plan.out} exists already: choose another --out, or --overwrite it")
    if plan.out.exists() and not (plan.out / "meta" / "info.json").exists():
        raise UserError(f"{plan.out} is not a dataset: --overwrite leaves it alone")
    store = plan.out.with_name(plan.out.name + ".parts")
    jobs, left_out = _jobs(plan, store)
    parts, failed = make_parts(jobs, plan.workers)
    parts, odd = _alike(parts)
    left_out = sorted([*left_out, *failed, *odd], key=lambda one: one.name)
    for one in left_out:
        say(f"left out: {one.name}: {one.reason}")
    for part in parts:
        for note in part.notes:
            say(f"{part.name}: {note}")
    if not parts:
        raise UserError(f"{plan.recordings}: nothing could be converted")
    converted = Converted(plan.out, tuple(parts), tuple(left_out))
    _write(plan, converted)
    shutil.rmtree(store)
    return converted


def recordings_of(plan: Plan) -> Iterator[tuple[str, Path]]:
    """Name and folder of each recording, by name."""
    for path in find_recordings(plan.recordings):
        relative = path.relative_to(plan.recordings)
        yield (path.name if relative == Path() else str(relative)).replace("/", "__"), path


def open_chosen(plan: Plan, path: Path) -> Recording:
    """A recording, if its outcome is one that is taken."""
    recording = Recording(path)
    outcome = recording.about.outcome
    if outcome == _DISCARDED or outcome not in plan.outcomes:
        raise UserError(f"its outcome is '{outcome}'; taken: {', '.join(plan.outcomes)}")
    return recording


def robot_content(plan: Plan, recording: Recording) -> Mapping[str, Any]:
    """The robot's parameter file for a recording."""
    content = plan.robot or recording.about.robot
    if not content:
        raise UserError("it does not say what robot it is of: say --robot FILE.yaml")
    return content


def _jobs(plan: Plan, store: Path) -> tuple[list[Job], list[LeftOut]]:
    jobs, left_out = [], []
    threads = max(1, (os.cpu_count() or 1) // plan.workers)
    for name, path in recordings_of(plan):
        try:
            robot = robot_content(plan, open_chosen(plan, path))
        except UserError as error:
            left_out.append(LeftOut(name, str(error)))
            continue
        jobs.append(Job(path, name, store / name, robot, plan.wanted, threads))
    return jobs, left_out


def _alike(parts: Sequence[Part]) -> tuple[list[Part], list[LeftOut]]:
    """Those with the columns that most have: a dataset has one set of columns."""
    if not parts:
        return [], []
    usual = Counter(map(_described, parts)).most_common(1)[0][0]
    odd = [part for part in parts if _described(part) != usual]
    named = [LeftOut(part.name, f"it has {_described(part)}, most have {usual}") for part in odd]
    return [part for part in parts if part not in odd], named


def _described(part: Part) -> str:
    schema: Schema = part.schema
    sizes = [
        f"{key.rpartition('.')[2]} {schema.features[key].shape[0]}x{schema.features[key].shape[1]}"
        for key in schema.cameras
    ]
    state = ", ".join(schema.features["observation.state"].names or ())
    return f"cameras {', '.join(sizes)} and state {state}"


def _write(plan: Plan, converted: Converted) -> None:
    old = plan.out.with_name(plan.out.name + ".old")
    if plan.out.exists():
        if old.exists():
            raise UserError(f"{old} is in the way: remove it first")
        plan.out.rename(old)
    try:
        with DatasetWriter(plan.out, converted.parts[0].schema, plan.wanted.codec) as writer:
            for part in converted.parts:
                for episode in part.episodes():
                    writer.append(episode)
    except BaseException:
        if old.exists():
            old.rename(plan.out)
        raise
    shutil.rmtree(old, ignore_errors=True)
    _write_origin(plan, converted)


def _write_origin(plan: Plan, converted: Converted) -> None:
    """How the dataset came about, beside LeRobot's own files."""
    content = {
        "command": "lam data from-bags",
        "settings": asdict(plan.wanted),
        "outcomes": plan.outcomes,
        "recordings": {
            part.name: {
                "outcome": part.outcome,
                "frames": part.frames,
                "span_s": round(part.span_s, 3),
                "notes": part.notes,
            }
            for part in converted.parts
        },
        "left_out": {one.name: one.reason for one in converted.left_out},
    }
    path = converted.path / "origin.json"
    partial = path.with_name("origin.json.partial")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
