"""Memory that pictures come in is kept."""

from __future__ import annotations

import ctypes
from contextlib import suppress

# Of malloc.h; the greatest piece that may stay on the heap, and how much of it may be free.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_PIECE_BYTES, _FREE_BYTES = 32 << 20, 256 << 20


def keep_memory() -> None:
    """Tell glibc to keep what is freed, up to some pictures; elsewhere nothing happens.

    It would give back each picture's memory and take it anew for the next one, page by page: VGA
    pictures came 1.7 ms later (bench/policy_latency.py).
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, _PIECE_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _FREE_BYTES)
