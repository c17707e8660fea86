"""`lam fit-policy`: a policy learns motion latents of video, which needs no actions."""

from __future__ import annotations

import argparse
from pathlib import Path

from lam_models.stages.policy_arguments import add_shared, fit_from

SUMMARY = "teach a policy the motion latents of video without actions"

_EXAMPLES = """examples:
  lam label models/lapa data/video                      writes the latents beside the videos
  lam fit-policy data/video --out policies/latent
  lam fit-actions data/labelled --after policies/latent --out policies/grounded

The network reads image and instruction and learns which latent comes next. The folder is no policy
yet that a robot could run: lam fit-actions grounds it.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "videos", metavar="DATASET", type=Path, nargs="+", help="with latents beside them"
    )
    parser.add_argument(
        "--motion", metavar="SPACE", default="", help="name of the latents; default: the only ones"
    )
    parser.add_argument("--after", type=Path, metavar="DIR", help="a policy to go on from")
    add_shared(parser)


def run(args: argparse.Namespace) -> int:
    """Exit code 0, or 130 after Ctrl-C."""
    return fit_from(args)
