"""`lam fit-hands`: the command line of fit_hands.py."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from pathlib import Path

from lam_models.command import UserError, unknown
from lam_models.stages.fit_settings import read_changes

SUMMARY = "make a latent space of hands, or teach one a new hand"

_EPILOG = """examples:
  lam fit-hands --out spaces/mine                            all hands that come with lam
  lam fit-hands --out spaces/two --hands panda_gripper allegro my_hand.yaml
  lam fit-hands --out spaces/more --space shipped --add my_hand.yaml
                  my_hand joins: every latent of the space keeps its meaning
`lam hand check my_hand.yaml` looks at a hand file first."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="space folder to write"
    )
    parser.add_argument(
        "--hands", nargs="+", metavar="HAND", help="names or files (default: all that come along)"
    )
    parser.add_argument("--space", metavar="DIR", help="a space that --add joins; or 'shipped'")
    parser.add_argument("--add", metavar="HAND", help="name or file of the hand that joins")
    parser.add_argument("--recipe", default="cross", help="a name of systems.lad (default cross)")
    parser.add_argument("--people", type=int, default=40, help="drawn for training (default 40)")
    parser.add_argument("--poses", type=int, default=500, help="of each (default 500)")
    parser.add_argument("--steps", type=int, help="of the last stage (default: the recipe's)")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="NAME=VALUE",
        help="any field of LAD's Config; may be repeated",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a space at DIR")
    parser.add_argument(
        "--resume", action="store_true", help="go on where an interrupted run to DIR stopped"
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 0, or 130 after Ctrl-C."""
    if (args.space is None) != (args.add is None):
        raise UserError("--space and --add belong together: which hand joins which space")
    if args.add is not None and args.hands is not None:
        raise UserError("--hands founds a space, --add joins one: give one of them")

    from lam_models.hands.space import SHIPPED
    from lam_models.hands.spec_file import shipped_hands
    from lam_models.stages.fit_hands import HandsSettings, fit_hands
    from lam_models.stages.training.stopping import Stopped
    from lam_models.systems.lad import RECIPES, Config

    if args.recipe not in RECIPES:
        raise unknown("recipe", args.recipe, RECIPES)
    changes = read_changes(args.changes, Config)
    if args.steps is not None:
        changes["steps"] = args.steps
    space = args.space and (SHIPPED if args.space == "shipped" else Path(args.space))
    settings = HandsSettings(
        out=args.out,
        hands=(args.add,) if args.add else tuple(args.hands or shipped_hands()),
        config=dataclasses.replace(RECIPES[args.recipe], **changes),
        recipe=args.recipe,
        space=space,
        people=args.people,
        poses=args.poses,
        seed=args.seed,
        resume=args.resume,
        overwrite=args.overwrite,
    )
    try:
        fitted = fit_hands(settings)
    except (Stopped, KeyboardInterrupt):
        words = [word for word in sys.argv[1:] if word != "--resume"]
        print("Stopped; nothing is lost. To go on:")
        print(f"  {shlex.join(['lam', *words, '--resume'])}")
        return 130
    figures = fitted.metrics
    print(
        f"{args.out}: {fitted.space.latent.name} ({fitted.space.latent.space_hash}), "
        f"{len(fitted.space.coders)} hands; fingertips of people not trained on: "
        f"own {figures['validation/self_mm']:.1f} mm, across hands "
        f"{figures['validation/loss']:.1f} mm (medians)"
    )
    return 0
