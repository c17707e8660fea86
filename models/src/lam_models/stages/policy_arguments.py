"""The command line that `lam fit-policy` and `lam fit-actions` share."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from lam_models.command import UserError
from lam_models.stages.policy_settings import POLICY_PRESETS, PolicySettings

_DEFAULT = PolicySettings(Path())


def add_shared(parser: argparse.ArgumentParser) -> None:
    """Everything but the data."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--overwrite", action="store_true", help="replace a policy at DIR")
    parser.add_argument(
        "--resume", action="store_true", help="go on where an interrupted run to DIR stopped"
    )
    parser.add_argument(
        "--validation",
        type=float,
        metavar="SHARE",
        default=_DEFAULT.validation,
        help=f"share of the episodes kept for validation (default {_DEFAULT.validation:g})",
    )
    parser.add_argument(
        "--cache",
        choices=("raw", "jpeg"),
        default=_DEFAULT.cache,
        help="how frames are kept for fast reading; jpeg is smaller and slower (default raw)",
    )
    parser.add_argument(
        "--preset", choices=POLICY_PRESETS, default=_DEFAULT.preset, help="default small"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="NAME=VALUE",
        help="any field of the policy's Config (policy/slot_config.py); may be repeated",
    )
    training = parser.add_argument_group("training", "defaults are the preset's")
    training.add_argument("--steps", type=int)
    training.add_argument("--batch-size", type=int, help="over all devices together")
    training.add_argument("--lr", type=float, dest="learning_rate", help="learning rate")
    training.add_argument("--seed", type=int, default=_DEFAULT.seed, help="default 0")
    training.add_argument(
        "--precision",
        choices=("auto", "bf16", "fp32"),
        default=_DEFAULT.precision,
        help="auto: bf16 on a GPU that has it; bf16 also serves CPUs with AVX512-BF16 or AMX",
    )
    training.add_argument("--compile", action="store_true", help="with torch.compile")


def fit_from(args: argparse.Namespace) -> int:
    """Train; exit code 0, or 130 after Ctrl-C."""
    from lam_models.policy.slot_config import Config
    from lam_models.stages.fit_policy import fit_policy
    from lam_models.stages.fit_settings import read_changes
    from lam_models.stages.training.stopping import Stopped

    given: Any = vars(args) | {"changes": read_changes(args.changes, Config)}
    for name in ("datasets", "videos"):
        given[name] = tuple(given.get(name) or ())
    known = PolicySettings.__dataclass_fields__
    settings = PolicySettings(**{name: value for name, value in given.items() if name in known})
    if settings.after is not None and not settings.after.is_dir():
        raise UserError(f"no policy folder at {settings.after}")
    try:
        fit_policy(settings)
    except Stopped as stopped:
        words = [word for word in sys.argv[1:] if word != "--resume"]
        print(f"Stopped after step {stopped.step}; nothing is lost. To go on:")
        print(f"  {shlex.join(['lam', *words, '--resume'])}")
        return 130
    return 0
