"""Whether the disk can take what comes, said before it is too late."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NS_PER_S = 1_000_000_000
# Less than this much time until the disk is as full as it may be is worth a warning.
_SOON_S = 600.0
_BUSY = 0.25
FreeBytes = Callable[[Path], int]


@dataclass(frozen=True)
class Limits:
    """min_free_bytes: recording stops where less is left. most_queued_bytes: see EpisodeWriter.

    most_rate_b_s: more is worth a warning, 0: never.
    """

    pre_roll_s: float = 1.0
    pre_roll_bytes: int = 64 << 20
    min_free_bytes: int = 1 << 30
    most_queued_bytes: int = 256 << 20
    most_rate_b_s: float = 0.0


def free_bytes(folder: Path) -> int:
    """Room for a user's files where the folder is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def disk_fault(free: int, limits: Limits) -> str:
    """Why nothing may be recorded, "" where there is room."""
    if free >= limits.min_free_bytes:
        return ""
    needed = megabytes(limits.min_free_bytes)
    return f"the disk is nearly full: {megabytes(free)} left, {needed} needed"


def disk_warning(free: int, rate_b_s: float, waiting: int, limits: Limits) -> str:
    """What will go wrong before long, "" where nothing is in sight."""
    if waiting > _BUSY * limits.most_queued_bytes:
        return f"the disk cannot follow: {megabytes(waiting)} wait to be written"
    if limits.most_rate_b_s and rate_b_s > limits.most_rate_b_s:
        return f"{megabytes(rate_b_s)}/s come in, more than {megabytes(limits.most_rate_b_s)}/s"
    left_s = (free - limits.min_free_bytes) / rate_b_s if rate_b_s > 0 else float("inf")
    return f"the disk is full in {left_s / 60:.0f} min" if left_s < _SOON_S else ""


def megabytes(count: float) -> str:
    """Bytes in words."""
    return f"{count / 1e6:.1f} MB"
