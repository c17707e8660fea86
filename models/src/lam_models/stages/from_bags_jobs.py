"""Recordings to parts, each by a process that takes the next one when it is done.

What a part is and where it lies: from_bags_parts.py. Parts that are there already are not made
again.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lam_models.command import UserError
from lam_models.data.bags.convert import Conversion, encode, open_recording, seconds
from lam_models.data.bags.frames import schema_of
from lam_models.data.bags.recording import Recording
from lam_models.data.bags.topics import robot_of
from lam_models.data.progress import frames_progress
from lam_models.stages.from_bags_parts import Part, find_part, part_key, save_part

_POLL_S = 0.2


@dataclass(frozen=True)
class Job:
    """The conversion of one recording. threads: within it."""

    path: Path
    name: str
    folder: Path
    robot: Mapping[str, Any]
    wanted: Conversion
    threads: int


@dataclass(frozen=True)
class LeftOut:
    """A recording that is not in the dataset, and why."""

    name: str
    reason: str


def make_parts(jobs: Sequence[Job], workers: int) -> tuple[list[Part], list[LeftOut]]:
    """All that can be made, in the order of the jobs. workers: processes."""
    done: dict[str, Part | LeftOut] = {}
    with frames_progress("converting", sum(map(_expected, jobs))) as bar:
        if workers == 1 or len(jobs) < 2:
            for job in jobs:
                done[job.name] = _make_part(job, bar.advance)
        else:
            _in_processes(jobs, workers, bar.advance, done)
    results = [done[job.name] for job in jobs]
    parts = [one for one in results if isinstance(one, Part)]
    return parts, [one for one in results if isinstance(one, LeftOut)]


def _in_processes(
    jobs: Sequence[Job],
    workers: int,
    advance: Callable[[int], None],
    done: dict[str, Part | LeftOut],
) -> None:
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    shown = 0
    count = min(workers, len(jobs))
    with ProcessPoolExecutor(count, context, _begin_worker, (counter,)) as pool:
        waiting: set[Future] = {pool.submit(_make_counted, job) for job in jobs}
        try:
            while waiting:
                ready, waiting = wait(waiting, _POLL_S, FIRST_COMPLETED)
                for future in ready:
                    one = future.result()
                    done[one.name] = one
                now = counter.value
                advance(now - shown)
                shown = now
        except BaseException:  # Ctrl-C too: what has not begun must not begin.
            pool.shutdown(wait=True, cancel_futures=True)
            raise


_counter: Any = None


def _begin_worker(counter: Any) -> None:
    global _counter
    _counter = counter
    # Ctrl-C reaches the whole group; the parent decides, and a part at work is finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _make_counted(job: Job) -> Part | LeftOut:
    def advance(frames: int) -> None:
        with _counter.get_lock():
            _counter.value += frames

    return _make_part(job, advance)


def _make_part(job: Job, advance: Callable[[int], None]) -> Part | LeftOut:
    """Convert a recording, unless that is done. advance: as in convert.encode."""
    try:
        recording = Recording(job.path)
        key = part_key(recording, job.robot, job.wanted)
        if (found := find_part(job.folder, key)) is not None:
            advance(_expected(job))
            return found
        opened = open_recording(recording, robot_of(job.robot), job.wanted)
        episodes = encode(opened, job.wanted, job.threads, advance)
    except UserError as error:
        return LeftOut(job.name, str(error))
    part = Part(
        name=job.name,
        folder=job.folder,
        schema=schema_of(opened.shapes, job.wanted.fps),
        instruction=opened.instruction,
        outcome=recording.about.outcome,
        frames=tuple(piece.length for piece in opened.pieces),
        span_s=seconds(recording),
        notes=opened.notes,
    )
    save_part(part, key, episodes)
    return part


def _expected(job: Job) -> int:
    """Pictures to encode, for the progress bar; 0 where the recording is no good."""
    try:
        span_s = seconds(Recording(job.path))
        cameras = len(job.wanted.cameras or robot_of(job.robot).cameras)
    except UserError:
        return 0
    return round(span_s * job.wanted.fps) * cameras
