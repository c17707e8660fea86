"""The venv of retargeters to compare with, which want other versions than this project does.

`python()` makes it at the first call. torch, which dex-retargeting imports but does not declare,
is taken from the venv that runs this.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

from report import ROOT

VENV = ROOT / ".venv-retarget"
# dex-retargeting's own list is not complete, and holds back what need not be held back.
ALONE = ("dex-retargeting==0.5.0",)
NEEDED = (
    "numpy>=2,<3",
    "pin>=3.3.1,<5",
    "nlopt>=2.8,<3",
    "anytree>=2.12,<3",
    "lxml>=5",
    "pytransform3d>=3.5,<4",
    "six",
    "pyyaml",
    "mink>=1.3,<2",
    "mujoco>=3.10,<5",
    "qpsolvers[daqp]",
)


def python() -> Path:
    """Its interpreter."""
    found, finished = VENV / "bin" / "python", VENV / "finished"
    if not finished.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        pip = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", *ALONE], check=True)
        subprocess.run([*pip, *NEEDED], check=True)
        library = next((VENV / "lib").iterdir()) / "site-packages"
        (library / "torch_from_outside.pth").write_text(sysconfig.get_path("purelib") + "\n")
        finished.touch()
    return found
