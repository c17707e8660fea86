"""An environment of its own for the newest LeRobot that installs here.

`python()` makes .venv-lerobot at the first call, or takes what LEROBOT_PYTHON names. LeRobot pins
other versions of torch, PyAV and huggingface_hub than this project, so it cannot share ours. Its
torch comes from the package index as it is: on Linux that is the one with CUDA, about 8 GB on disk.
Where a CPU build of the version wanted is at hand, name its index in LEROBOT_TORCH_INDEX.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
VENV = ROOT / ".venv-lerobot"
_NEEDED_GB = 9.0


def python() -> str:
    """Its interpreter. SystemExit with a sentence where the disk is too small."""
    named = os.environ.get("LEROBOT_PYTHON")
    if named:
        return named
    found, finished = VENV / "bin" / "python", VENV / "finished"
    if not finished.exists():
        index = os.environ.get("LEROBOT_TORCH_INDEX")
        free_gb = shutil.disk_usage(ROOT).free / 1e9
        if not index and free_gb < _NEEDED_GB:
            raise SystemExit(f"LeRobot needs {_NEEDED_GB:g} GB of disk, {free_gb:.1f} GB are free")
        print(f"installing LeRobot into {VENV}: several minutes, about 8 GB with CUDA", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        pip = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        if index:
            subprocess.run([*pip, "--index-url", index, "torch<2.11", "torchvision"], check=True)
        # matplotlib: LeRobot's player needs it and does not say so.
        subprocess.run([*pip, "lerobot", "matplotlib"], check=True)
        finished.touch()
    return str(found)
