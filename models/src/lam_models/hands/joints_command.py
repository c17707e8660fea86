"""`lam hand joints`: write the space of one hand whose latents are its joints."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "write a hand's joints as a space of latents, for policies that share nothing"

_EPILOG = """Give the folder as --space to lam fit-actions: the policy then is a plain cloner of
this hand's joints, which no other hand can use."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument("hand", metavar="HAND", help="name or YAML file")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--overwrite", action="store_true", help="replace a space at DIR")


def run(args: argparse.Namespace) -> int:
    from lam_models.checkpoint import origin_now
    from lam_models.hands.joint_space import joint_space
    from lam_models.hands.space import save_space
    from lam_models.hands.spec_file import read_hand

    space = joint_space(read_hand(args.hand))
    save_space(args.out, space, origin_now("", f"joints of {args.hand}"), args.overwrite)
    print(f"{args.out}: {space.latent.name}, latents of {space.dim} numbers")
    return 0
