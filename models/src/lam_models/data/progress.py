"""A progress bar for work that is counted in frames, on standard error."""

from __future__ import annotations

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


class FramesProgress:
    """Counts frames; may be called from several threads."""

    def __init__(self, bar: Progress, title: str, total: int) -> None:
        self._bar, self._task = bar, bar.add_task(title, total=total)

    def advance(self, frames: int) -> None:
        self._bar.advance(self._task, frames)


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
