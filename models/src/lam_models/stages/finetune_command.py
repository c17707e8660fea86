"""`lam finetune`: a policy goes on learning from a few new episodes."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from lam_models.policy.shipped import policy_folder
from lam_models.stages.finetune_settings import TRAINED, FinetuneSettings

SUMMARY = "go on training a policy on new episodes, and compare before and after"

_EPILOG = """examples:
  lam finetune --policy policies/mine --data data/new --out policies/better
  lam finetune --policy policies/mine --data data/new --replay data/old --out policies/better
  lam finetune --policy policies/mine --data data/corrected --intervention-weight 5 --out ...

A frame at which a person took over from a policy (command.source of recorded datasets) is an
intervention. The new folder is another policy; a running policy_node takes it up by
  ros2 param set /policy_node policy policies/better
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    own = {name: one.default for name, one in FinetuneSettings.__dataclass_fields__.items()}
    add = parser.add_argument
    add(
        "--policy",
        type=policy_folder,
        required=True,
        metavar="DIR",
        help="policy folder to go on from, or shipped",
    )
    add("--data", type=Path, nargs="+", required=True, metavar="DATASET", help="new episodes")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    add("--overwrite", action="store_true", help="replace a policy at DIR")
    add("--resume", action="store_true", help="go on where an interrupted run to DIR stopped")
    add(
        "--train",
        choices=TRAINED,
        default="",
        help="words: what is named and where that is in a calibrated picture, not the way of "
        "moving; heads: read-outs and the table of words; lora: these and adapters in a "
        "vision-language model; all (default: lora where there is such a model, else all)",
    )
    add(
        "--replay",
        type=Path,
        nargs="+",
        default=(),
        metavar="DATASET",
        help="earlier episodes, learnt beside the new ones so that old tasks are not forgotten",
    )
    add(
        "--replay-share",
        type=float,
        default=own["replay_share"],
        help="of what is learnt from (default %(default)g)",
    )
    add(
        "--intervention-weight",
        type=float,
        default=own["intervention_weight"],
        metavar="W",
        help="how often a frame is drawn at which a person had taken over (default %(default)g)",
    )
    add("--space", default="", metavar="DIR", help="space of hands (default: the shipped one)")
    add("--hand", default="", metavar="NAME", help="default: the one with the dataset's joints")
    add("--cache", choices=("raw", "jpeg"), default="raw", help="how frames are kept (raw)")
    _add_recipe(parser, own)


def _add_recipe(parser: argparse.ArgumentParser, own: dict[str, Any]) -> None:
    add = parser.add_argument
    add(
        "--validation",
        type=float,
        default=own["validation"],
        metavar="SHARE",
        help="share of the episodes on which before and after are compared (default %(default)g)",
    )
    add("--steps", type=int, default=own["steps"], help="default %(default)s")
    add("--batch-size", type=int, help="over all devices together (default: the policy's)")
    add(
        "--lr",
        type=float,
        dest="learning_rate",
        help="learning rate (default: the policy's, at most 3e-4, and 1e-3 for words)",
    )
    add("--seed", type=int, default=own["seed"], help="default %(default)s")
    add("--precision", choices=("auto", "bf16", "fp32"), default="auto", help="default auto")


def run(args: argparse.Namespace) -> int:
    """Exit code 0, or 130 after Ctrl-C."""
    from lam_models.stages.finetune import finetune
    from lam_models.stages.training.stopping import Stopped

    known = FinetuneSettings.__dataclass_fields__
    given: Any = {name: value for name, value in vars(args).items() if name in known}
    given |= {name: tuple(given[name]) for name in ("data", "replay")}
    try:
        finetune(FinetuneSettings(**given))
    except Stopped as stopped:
        words = [word for word in sys.argv[1:] if word != "--resume"]
        print(f"Stopped after step {stopped.step}; nothing is lost. To go on:")
        print(f"  {shlex.join(['lam', *words, '--resume'])}")
        return 130
    return 0
