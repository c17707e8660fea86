"""What a run says while it trains: a bar or plain lines, metrics.jsonl and TensorBoard.

A line of metrics.jsonl is {"step": ..., name: value, ...}: the values of a training step averaged
since the line before, with `steps_per_s` and `data_wait` (the share of the time spent waiting for
batches), or those of a validation, named "validation/...".
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch.utils.tensorboard import SummaryWriter

METRICS = "metrics.jsonl"
# Not functions of data and seed.
TIMINGS = ("steps_per_s", "data_wait")
_SHOWN = ("perplexity", "used_share", "validation/loss")


class Journal:
    """Use as a context. `start` steps are done; what was written of later ones is dropped.

    `shown`: False leaves both terminal and files alone (for all ranks but the first).
    """

    def __init__(self, folder: Path, start: int, total: int, shown: bool = True) -> None:
        self._total, self._shown, self._done = total, shown, start
        self._latest: dict[str, float] = {}
        self._waited_s = 0.0
        self._since, self._since_s = start, time.monotonic()
        self._board = self._bar = None
        if shown:
            folder.mkdir(parents=True, exist_ok=True)
            self._path = folder / METRICS
            self._path.write_text("".join(f"{x}\n" for x in _lines_until(self._path, start)))
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1)
            self._console = Console(highlight=False, soft_wrap=True)
            self._bar = _bar(self._console)
            self._row = self._bar.add_task("training", total=total, completed=start, text="")

    def __enter__(self) -> Journal:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._board is not None:
            self._board.close()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The time inside the block is spent waiting for data."""
        started_s = time.monotonic()
        yield
        self._waited_s += time.monotonic() - started_s

    def advance(self) -> None:
        """A step is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._row, advance=1)

    def note_training(self, values: Mapping[str, float]) -> None:
        """Averages over the steps since the last time."""
        passed_s = max(time.monotonic() - self._since_s, 1e-9)
        pace = (self._done - self._since) / passed_s
        self._note({**values, "steps_per_s": pace, "data_wait": self._waited_s / passed_s})
        self.restart_clock()
        if self._bar is None:
            return
        self._bar.update(self._row, text=self._text())
        if not self._console.is_interactive:
            left_s = int((self._total - self._done) / pace)
            left = f"{left_s // 3600}:{left_s // 60 % 60:02}:{left_s % 60:02}"
            print(f"step {self._done}/{self._total}  {self._text()}  {left} left", flush=True)

    def note_validation(self, values: Mapping[str, float]) -> None:
        self._note({f"validation/{name}": value for name, value in values.items()})
        self.restart_clock()

    def restart_clock(self) -> None:
        """What was done since the last step is no training time."""
        self._since, self._since_s, self._waited_s = self._done, time.monotonic(), 0.0

    def latest(self) -> dict[str, float]:
        """Every value as it was noted last."""
        return dict(self._latest)

    def _note(self, values: Mapping[str, float]) -> None:
        self._latest |= values
        if self._board is None:
            return
        with self._path.open("a") as file:
            file.write(json.dumps({"step": self._done, **values}) + "\n")
        for name, value in values.items():
            tag = name if "/" in name else f"training/{name}"
            self._board.add_scalar(tag, value, self._done)

    def _text(self) -> str:
        now = self._latest
        shown = [f"loss {now['loss']:.4g}"]
        shown += [f"{name.replace('/', ' ')} {now[name]:.4g}" for name in _SHOWN if name in now]
        shown += [f"{now['steps_per_s']:.3g} steps/s", f"data wait {100 * now['data_wait']:.0f} %"]
        return "  ".join(shown)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl."""
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def _lines_until(path: Path, step: int) -> Iterator[str]:
    """Whole lines up to a step; a killed run may have left half of one."""
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.endswith("}") and json.loads(line)["step"] <= step:
            yield line


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[text]}"),
        TimeRemainingColumn(),
    )
    return Progress(
        *columns,
        console=console,
        transient=True,
        refresh_per_second=4,
        disable=not console.is_interactive,
    )
