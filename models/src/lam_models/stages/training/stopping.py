"""How a training run ends early: the first signal asks, the loop answers between two steps."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType


class Stopped(KeyboardInterrupt):
    """The run was interrupted after `step` steps; everything up to there is in `folder`."""

    def __init__(self, step: int, folder: Path) -> None:
        super().__init__(f"stopped after step {step}; saved in {folder}")
        self.step, self.folder = step, folder


class StopRequest:
    """True from the first SIGINT or SIGTERM inside the block; a second one interrupts at once.

    Signals can be handled by the main thread only; elsewhere this never becomes true.
    """

    def __init__(self) -> None:
        self._asked = False

    def __enter__(self) -> StopRequest:
        self._former = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._former[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return self._asked

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
