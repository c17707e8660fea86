"""Runs a command in the venv that holds Meta-World, which pins an older MuJoCo.

    python -m lam_sim.metaworld.venv <module of a command> <its arguments as JSON>

is what `continue_there` turns this process into; `make metaworld` makes the venv.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import NoReturn

import lam_models
from lam_models.command import UserError

_SOURCES = Path(__file__).resolve().parents[2]
VENV = Path(os.environ.get("LAM_METAWORLD_VENV", _SOURCES.parent / ".venv-metaworld"))


def needed(world: str) -> bool:
    """Whether this world can only run in the other venv."""
    return world == "metaworld" and importlib.util.find_spec("metaworld") is None


def continue_there(module: str, args: argparse.Namespace) -> NoReturn:
    """Become `module.run(args)` in the Meta-World venv: same process, same terminal."""
    plain = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in vars(args).items()
        if isinstance(value, str | int | float | bool | Path | None)
    }
    become("-m", "lam_sim.metaworld.venv", module, json.dumps(plain))


def become(*words: str) -> NoReturn:
    """Become the Meta-World venv's Python with these words."""
    python = VENV / "bin" / "python"
    if not python.exists():
        raise UserError(f"Meta-World is not installed ({VENV} is missing): run `make metaworld`")
    sys.stdout.flush()
    # Only the two packages: the caller's path may hold what was built for another Python.
    paths = [_SOURCES, Path(lam_models.__file__).resolve().parents[1]]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    os.execve(python, [str(python), *words], environment)


def main() -> int:
    """The other side of `continue_there`."""
    module, text = sys.argv[1:]
    try:
        return importlib.import_module(module).run(argparse.Namespace(**json.loads(text)))
    except UserError as error:
        print(f"lam: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
