"""`lam hand slots`: write the space of hands whose latents are named joint slots."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "write named joint slots as a space of latents, to compare a learnt one with"

_EPILOG = """Give the folder as --space to lam fit-actions and as space:= to lam launch: the same
policy folder then drives any of these hands, each joint by the slot that the hand's file names."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument(
        "--hands", nargs="+", metavar="HAND", help="names or files (default: all that come along)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--overwrite", action="store_true", help="replace a space at DIR")


def run(args: argparse.Namespace) -> int:
    from lam_models.checkpoint import origin_now
    from lam_models.hands.grasp import measure_all
    from lam_models.hands.slot_space import slot_space
    from lam_models.hands.space import save_space
    from lam_models.hands.spec_file import read_hand, shipped_hands

    specs = [read_hand(name) for name in args.hands or shipped_hands()]
    space = measure_all(slot_space(specs), specs)
    save_space(args.out, space, origin_now("", "named slots"), args.overwrite)
    print(f"{args.out}: {space.latent.name}, {len(specs)} hands, latents of {space.dim} numbers")
    return 0
