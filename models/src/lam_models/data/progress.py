"""The progress of work that is counted in frames, on standard error: a bar, elsewhere lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

# Between the lines that stand in a file in place of a bar.
_LINE_S = 20.0


class FramesProgress:
    """Counts frames; may be called from several threads."""

    def __init__(self, bar: Progress, title: str, total: int) -> None:
        self._bar, self._title, self._total = bar, title, total
        self._task = bar.add_task(title, total=total)
        self._said_s = time.monotonic()

    def advance(self, frames: int) -> None:
        self._bar.advance(self._task, frames)
        now_s = time.monotonic()
        if not self._bar.console.is_interactive and now_s - self._said_s >= _LINE_S:
            self._said_s = now_s
            said = f"{self._title}: {self._bar.tasks[0].completed:,.0f} of {self._total:,} frames"
            print(said, file=sys.stderr, flush=True)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0.0:,.0f} frames/s")


@contextmanager
def frames_progress(title: str, total: int) -> Iterator[FramesProgress]:
    """A bar with rate and time left, gone when it is done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield FramesProgress(bar, title, total)
