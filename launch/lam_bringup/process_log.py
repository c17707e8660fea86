"""Where the lines of the running processes go: the screen, each marked with its process, and files.

The run's folder holds one file a process and launch.log with all lines and the time of each.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TextIO

_COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
_OWN_COLOUR = 2
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# A program that prints no line ends must not fill the memory.
_MAX_LINE_BYTES = 1 << 16


def new_log_folder(name: str, environment: Mapping[str, str]) -> Path:
    """A fresh folder for one run, where ROS 2 keeps its logs; `latest-lam` there leads to it."""
    home = environment.get("ROS_HOME") or str(Path.home() / ".ros")
    base = Path(environment.get("ROS_LOG_DIR") or f"{home}/log")
    folder = base / f"{time.strftime('%Y-%m-%d-%H-%M-%S')}-{name}-{os.getpid()}"
    folder.mkdir(parents=True)
    latest, fresh = base / "latest-lam", base / f".latest-lam-{os.getpid()}"
    fresh.symlink_to(folder.name)
    fresh.replace(latest)
    return folder


class ProcessLog:
    """Writes whole lines, so that those of several processes never mix.

    screen: where lines are shown. folder: where files are written, None for none.
    """

    def __init__(self, labels: Sequence[str], screen: TextIO, folder: Path | None) -> None:
        self._screen: TextIO | None = screen
        self.colours = screen.isatty()
        self._labels = tuple(labels)
        self._width = max((len(label) for label in self._labels), default=0)
        self._files: dict[str, IO[str]] = {}
        self.folder = folder
        for name in (*labels, "launch") if folder else ():
            path = Path(str(folder)) / f"{name.replace('/', '_')}.log"
            self._files[name] = path.open("a", buffering=1, errors="replace")

    def say(self, text: str) -> None:
        """A line of the launch itself."""
        self._record(None, text)
        self._show("launch", text, _OWN_COLOUR)

    def line(self, label: str, text: str, show: bool) -> None:
        """A line of a process."""
        self._record(label, text)
        if show:
            self._show(label, text, _COLOURS[self._labels.index(label) % len(_COLOURS)])

    @property
    def screen_closed(self) -> bool:
        """Whether nobody reads the screen any more, as after `lam launch ... | head`."""
        return self._screen is None

    def close(self) -> None:
        for file in self._files.values():
            file.close()

    def _record(self, label: str | None, text: str) -> None:
        plain = _ESCAPES.sub("", text)
        if "launch" in self._files:
            self._files["launch"].write(f"{time.time():.3f} [{label or 'launch'}] {plain}\n")
        if label in self._files:
            self._files[label].write(f"{plain}\n")

    def _show(self, label: str, text: str, colour: int) -> None:
        if self._screen is None:
            return
        mark = f"[{label}]".ljust(self._width + 2)
        if self.colours:
            mark = f"\x1b[{colour}m{mark}\x1b[0m"
        else:
            text = _ESCAPES.sub("", text)
        try:
            self._screen.write(f"{mark} {text}\n")
            self._screen.flush()
        except BrokenPipeError:
            # The interpreter flushes once more at exit, and what fails then changes the exit code.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._screen.fileno())
            self._screen = None


class LineBuffer:
    """Cuts a byte stream into lines."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[str]:
        """The lines completed by these bytes."""
        *lines, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) > _MAX_LINE_BYTES:
            lines, self._pending = [*lines, self._pending], b""
        return [_text(line) for line in lines]

    def rest(self) -> list[str]:
        """What was left without a line end."""
        pending, self._pending = self._pending, b""
        return [_text(pending)] if pending else []


def _text(line: bytes) -> str:
    return line.decode(errors="replace").removesuffix("\r")
