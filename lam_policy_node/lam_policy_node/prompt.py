"""What the node asks of the system to be prompt: that memory is kept, and whose turn it is.

A question wakes the policy's process, often on the very core that the node runs on. Left alone it
takes that core at once, and the node, with its next command, waits for milliseconds until Linux
looks at its turns again; a node that wakes while the policy has its core waits as long. All of it
is of Linux: elsewhere nothing happens.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from contextlib import suppress

# Of malloc.h; the greatest piece that may stay on the heap, and how much of it may be free.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_PIECE_BYTES, _FREE_BYTES = 32 << 20, 256 << 20
# The number of sched_setattr, for which Python has no name, and the layout of what it is told:
# size, policy, flags, nice, realtime priority, turn [ns], deadline, period.
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
_TURN_NS = 100_000


def be_prompt() -> None:
    """For the node's process, before it starts threads."""
    keep_memory()
    take_short_turns()


def keep_memory() -> None:
    """Tell glibc to keep what is freed, up to some pictures.

    It would give back each picture's memory and take it anew for the next one, page by page: VGA
    pictures came 1.7 ms later (bench/policy_latency.py).
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, _PIECE_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _FREE_BYTES)


def take_short_turns() -> None:
    """Ask for short turns, for this thread and those that it starts: woken, it then runs at once.

    Linux listens since 6.12. A realtime thread, which runs at once anyhow, is left as it is.
    """
    if sys.platform != "linux" or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, _TURN_NS, 0, 0)
    with suppress(OSError, AttributeError, KeyError):
        ctypes.CDLL(None).syscall(_SCHED_SETATTR[os.uname().machine], 0, wanted, 0)


def give_way() -> None:
    """This thread, when it wakes, leaves the core to who has it until that one waits."""
    if sys.platform == "linux" and os.sched_getscheduler(0) == os.SCHED_OTHER:
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
