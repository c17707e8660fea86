"""What a process takes of the machine, looked at once a second from outside."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass
class Usage:
    """CPU seconds and resident memory of a process, once a second."""

    seconds: list[float]
    cpu_s: list[float]
    memory_mb: list[float]

    @property
    def cores(self) -> float:
        return (self.cpu_s[-1] - self.cpu_s[0]) / (self.seconds[-1] - self.seconds[0])

    @property
    def growth_mb_min(self) -> float:
        """Slope over the second half: what is filled once has been filled by then."""
        half = len(self.seconds) // 2
        if len(self.seconds) - half < 2:
            return 0.0
        return 60.0 * float(np.polyfit(self.seconds[half:], self.memory_mb[half:], 1)[0])


class Watch:
    """Looks at a process until its `with` is left."""

    def __init__(self, pid: int) -> None:
        self.usage = Usage([], [], [])
        self._pid, self._over = pid, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Usage:
        self._thread.start()
        return self.usage

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        while True:
            fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
            self.usage.seconds.append(time.monotonic())
            self.usage.cpu_s.append((int(fields[11]) + int(fields[12])) / ticks)
            self.usage.memory_mb.append(int(fields[21]) * page / 1e6)
            if self._over.wait(1.0):
                return
