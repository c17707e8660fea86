"""The state of a training run as files that are whole or absent, and every random generator's.

One file a snapshot, written beside its place and renamed; the last two are kept. They are read
with weights_only=True: nothing in a file can be executed.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lam_models.command import UserError

_KEPT = 2
_NAME = re.compile(r"step-(\d+)\.pt")


def write_snapshot(folder: Path, step: int, state: Mapping[str, Any]) -> Path:
    """Save `state` as that after `step` steps."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step-{step:08d}.pt"
    partial = target.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
    for old in snapshots(folder)[:-_KEPT]:
        old.unlink()
    return target


def read_snapshot(folder: Path) -> dict[str, Any] | None:
    """The newest readable state in `folder`; None where there is no file at all."""
    paths = snapshots(folder)
    for path in reversed(paths):
        with contextlib.suppress(Exception):
            return torch.load(path, map_location="cpu", weights_only=True)
    if paths:
        raise UserError(f"none of the snapshots in {folder} can be read; remove it to start anew")
    return None


def snapshots(folder: Path) -> list[Path]:
    """Oldest first."""
    return sorted(p for p in folder.glob("step-*.pt") if _NAME.fullmatch(p.name))


def random_state() -> dict[str, Any]:
    """Of Python, NumPy, torch and this process's GPU."""
    _, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002 - the global one
    on_gpu = torch.cuda.is_available() and torch.cuda.is_initialized()
    return {
        "python": random.getstate(),
        "numpy": (torch.from_numpy(np.array(keys, np.int64)), position, has_gauss, float(gauss)),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if on_gpu else None,
    }


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Undo everything that was drawn since `random_state`."""
    random.setstate(state["python"])
    keys, position, has_gauss, gauss = state["numpy"]
    numpy_state = ("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, gauss)
    np.random.set_state(numpy_state)  # noqa: NPY002 - the global one
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
