"""The progress of many episodes: how far, how fast, how well. A bar, or lines where none can be."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# Between the lines that stand in a file in place of a bar.
_LINE_S = 20.0


class EpisodesProgress:
    """Counts episodes; `summary()` says it in one line."""

    def __init__(self, bar: Progress, title: str, total: int) -> None:
        self._bar, self._title, self._total = bar, title, total
        self._row = bar.add_task(title, total=total, pace="", rate="")
        self._started_s = self._said_s = time.monotonic()
        self._attempts = 0
        self.done = 0
        self.successes = 0

    def note(self, success: bool, counts: bool = True) -> None:
        """An episode is over; `counts`: towards the total."""
        self._attempts += 1
        self.successes += success
        self.done += counts
        self._bar.update(self._row, advance=int(counts), pace=self._pace, rate=self._rate)
        now_s = time.monotonic()
        if not self._bar.console.is_interactive and now_s - self._said_s >= _LINE_S:
            self._said_s = now_s
            print(f"{self._title}: {self.summary()} (of {self._total})", flush=True)

    @property
    def _pace(self) -> str:
        minutes = max(time.monotonic() - self._started_s, 1e-6) / 60
        return f"{self._attempts / minutes:.0f} episodes/min"

    @property
    def _rate(self) -> str:
        return f"{100 * self.successes / self._attempts:.0f} % succeed"

    def summary(self) -> str:
        """E.g. "100 episodes, 98 % succeed, 212 episodes/min"."""
        return f"{self.done} episodes, {self._rate}, {self._pace}"


@contextlib.contextmanager
def episodes_progress(title: str, total: int) -> Iterator[EpisodesProgress]:
    """A bar that goes away when it is through; no terminal, no bar but lines."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, transient=True) as bar:
        yield EpisodesProgress(bar, title, total)
