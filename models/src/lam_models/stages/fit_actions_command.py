"""`lam fit-actions`: a policy learns actions of labelled episodes."""

from __future__ import annotations

import argparse
from pathlib import Path

from lam_models.stages.policy_arguments import add_shared, fit_from

SUMMARY = "ground a policy in a few labelled episodes"

_EXAMPLES = """examples:
  lam fit-actions data/teleop --out policies/scratch                    from scratch
  lam fit-actions data/teleop --after policies/latent --out policies/mine
  lam fit-actions data/gripper data/allegro --out policies/both         two hands, one policy
  lam fit-actions data/teleop --delay 0.2 --out policies/late           answers up to 0.2 s late

Actions become an end-effector delta and a point of the hands' shared space, so that the policy
drives every hand that the space knows.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "datasets", metavar="DATASET", type=Path, nargs="+", help="LeRobot datasets with actions"
    )
    parser.add_argument("--after", type=Path, metavar="DIR", help="a policy to go on from")
    parser.add_argument(
        "--episodes",
        type=int,
        default=0,
        metavar="N",
        help="use N of each dataset, evenly spread over it (default: all)",
    )
    parser.add_argument(
        "--pseudo",
        nargs="?",
        const="",
        metavar="NAME",
        help="learn the actions that lam label-actions wrote beside the datasets, not their own",
    )
    parser.add_argument(
        "--space", default="", metavar="DIR", help="space of hands (default: the shipped one)"
    )
    parser.add_argument(
        "--hand", default="", metavar="NAME", help="default: the one with the dataset's joints"
    )
    parser.add_argument(
        "--delay",
        dest="delay_s",
        type=float,
        default=0.0,
        metavar="S",
        help="longest time until an answer is used; chunks begin up to so much later (default 0)",
    )
    _add_video(parser)
    add_shared(parser)


def _add_video(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--video",
        dest="videos",
        action="append",
        type=Path,
        metavar="DATASET",
        help="video with motion latents to learn beside the actions; may be repeated",
    )
    parser.add_argument(
        "--places-of-video",
        nargs="?",
        const="",
        metavar="NAME",
        help="learn where the videos' hand goes from what lam label-actions wrote beside them; "
        "motion latents are then learnt only if --motion names them",
    )
    parser.add_argument("--motion", metavar="SPACE", default="", help="name of those latents")
    parser.add_argument(
        "--video-share", type=float, default=0.3, help="of each batch (default 0.3)"
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 0, or 130 after Ctrl-C."""
    return fit_from(args)
