"""How the simulator lets other processes go first: on a robot, the world itself needs no cores."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_SESSION = Path("/proc/self/autogroup")


def yield_cores(niceness: int) -> None:
    """From here on, this thread and those that it starts are nicer by that much (0 to 19).

    Linux may schedule sessions against each other, and niceness then counts within one only; so a
    process that leads a session, as those of `lam launch` do, makes all of it as nice.
    """
    os.nice(niceness)
    if niceness and os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # A kernel without this has no need of it.
            _SESSION.write_text(str(niceness))
