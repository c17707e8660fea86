"""`lam fit-idm`: inverse dynamics of a few labelled episodes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

SUMMARY = "learn to read actions from video, of a few labelled episodes"

_EXAMPLES = """examples:
  lam fit-idm data/teleop --episodes 20 --out models/idm
  lam label-actions models/idm data/teleop          writes actions beside data without labels
  lam fit-actions data/teleop --pseudo --out policies/vpt

This is how VPT makes use of video. lam fit and lam fit-policy make use of it without any actions.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from lam_models.stages.fit_idm_settings import IDM_PRESETS, IdmSettings

    default = IdmSettings(Path(), Path())
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    add = parser.add_argument
    add("dataset", metavar="DATASET", type=Path, help="a LeRobot dataset with actions")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add("--overwrite", action="store_true", help="replace a model at DIR")
    add("--resume", action="store_true", help="go on where an interrupted run to DIR stopped")
    add(
        "--episodes",
        type=int,
        default=default.episodes,
        metavar="N",
        help="learn of N episodes, evenly spread over the dataset (default: all)",
    )
    add("--space", default="", metavar="DIR", help="space of hands (default: the shipped one)")
    add("--hand", default="", metavar="NAME", help="default: the one with the dataset's joints")
    add(
        "--validation",
        type=float,
        metavar="SHARE",
        default=default.validation,
        help=f"share of those episodes kept for validation (default {default.validation:g})",
    )
    add("--cache", choices=("raw", "jpeg"), default="raw", help="how frames are kept (default raw)")
    add("--preset", choices=IDM_PRESETS, default=default.preset, help="default small")
    add(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="NAME=VALUE",
        help="any field of the model's Config (policy/inverse.py); may be repeated",
    )
    training = parser.add_argument_group("training", "defaults are the preset's")
    training.add_argument("--steps", type=int)
    training.add_argument("--batch-size", type=int, help="over all devices together")
    training.add_argument("--lr", type=float, dest="learning_rate", help="learning rate")
    training.add_argument("--seed", type=int, default=default.seed, help="default 0")
    training.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto")


def run(args: argparse.Namespace) -> int:
    """Exit code 0, or 130 after Ctrl-C."""
    from lam_models.policy.inverse import Config
    from lam_models.stages.fit_idm import fit_idm
    from lam_models.stages.fit_idm_settings import IdmSettings
    from lam_models.stages.fit_settings import read_changes
    from lam_models.stages.training.stopping import Stopped

    given: Any = vars(args) | {"changes": read_changes(args.changes, Config)}
    known = IdmSettings.__dataclass_fields__
    settings = IdmSettings(**{name: value for name, value in given.items() if name in known})
    try:
        fit_idm(settings)
    except Stopped as stopped:
        print(f"Stopped after step {stopped.step}; nothing is lost: go on with --resume.")
        return 130
    return 0
