"""`lam fit`: the command line of fit_lam.py."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from lam_models.stages.fit_settings import PRESETS, FitSettings, read_changes
from lam_models.systems import SYSTEMS, find

SUMMARY = "train a latent-action model on video"

_DEFAULT = FitSettings("", Path(), Path())

_EXAMPLES = """examples:
  lam fit lapa data/push --out models/lapa
  lam fit laom data/push --out models/laom --labels 0.025 --steps 2000
  lam fit univla_stage1 data/push --out models/stage1
  lam fit univla data/push --out models/univla --after models/stage1
  lam fit lapa clips/ --out models/big --preset paper --set width=512 --set codebook_size=16
  accelerate launch --no_python lam fit lapa data/push --out models/lapa    (several GPUs)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = f"systems:\n  {', '.join(sorted(SYSTEMS))}\n\n{_EXAMPLES}"
    parser.add_argument("system", metavar="SYSTEM", help="a name of the list below")
    parser.add_argument(
        "dataset", metavar="DATASET", type=Path, help="a LeRobot dataset, or a folder of videos"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="model folder to write"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a model at DIR")
    parser.add_argument(
        "--resume", action="store_true", help="go on where an interrupted run to DIR stopped"
    )
    _add_data(parser)
    _add_model(parser)
    _add_training(parser)


def _add_data(parser: argparse.ArgumentParser) -> None:
    data = parser.add_argument_group("data")
    data.add_argument("--camera", metavar="NAME", help="default: the dataset's first")
    data.add_argument(
        "--gap-s", type=float, metavar="S", help="s between the frames (default: the preset's)"
    )
    data.add_argument(
        "--labels",
        type=float,
        metavar="SHARE",
        help="share of the training episodes whose actions may be used, e.g. 0.025 (default: none, "
        "or all for a system that cannot do without)",
    )
    data.add_argument(
        "--validation",
        type=float,
        metavar="SHARE",
        default=_DEFAULT.validation,
        help=f"share of the episodes kept for validation (default {_DEFAULT.validation:g})",
    )
    data.add_argument(
        "--cache",
        choices=("raw", "jpeg"),
        default=_DEFAULT.cache,
        help="how frames are kept for fast reading; jpeg is smaller and slower (default raw)",
    )
    data.add_argument(
        "--strict", action="store_true", help="refuse damaged episodes instead of skipping them"
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model")
    model.add_argument(
        "--preset", choices=PRESETS, default=_DEFAULT.preset, help=f"default {_DEFAULT.preset}"
    )
    model.add_argument(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="NAME=VALUE",
        help="any field of the system's Config; may be repeated",
    )
    model.add_argument(
        "--after", type=Path, metavar="DIR", help="model folder of the stage before, e.g. UniVLA's"
    )


def _add_training(parser: argparse.ArgumentParser) -> None:
    training = parser.add_argument_group("training", "defaults are the preset's")
    training.add_argument("--steps", type=int)
    training.add_argument("--batch-size", type=int, help="over all devices together")
    training.add_argument("--lr", type=float, dest="learning_rate", help="learning rate")
    training.add_argument(
        "--seed", type=int, default=_DEFAULT.seed, help=f"default {_DEFAULT.seed}"
    )
    training.add_argument(
        "--precision",
        choices=("auto", "bf16", "fp32"),
        default=_DEFAULT.precision,
        help="auto: bf16 on a GPU that has it",
    )
    training.add_argument("--compile", action="store_true", help="with torch.compile")


def run(args: argparse.Namespace) -> int:
    """Exit code 0, or 130 after Ctrl-C."""
    changes = read_changes(args.changes, find(args.system).Config)
    given: Any = vars(args) | {"changes": changes}
    settings = FitSettings(**given)

    from lam_models.stages.fit_lam import fit
    from lam_models.stages.training.stopping import Stopped

    try:
        fit(settings)
    except Stopped as stopped:
        words = [word for word in sys.argv[1:] if word != "--resume"]
        print(f"Stopped after step {stopped.step}; nothing is lost. To go on:")
        print(f"  {shlex.join(['lam', *words, '--resume'])}")
        return 130
    return 0
