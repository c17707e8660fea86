"""`lam export`: the command line of export.py."""

from __future__ import annotations

import argparse
from pathlib import Path

from lam_models.command import UserError

SUMMARY = "write a trained policy as a small folder for the robot"

_EPILOG = """The folder holds half-precision weights, what the policy sees and emits, its origin
and a model card; lam launch and lam eval take it as any other."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument("policy", metavar="POLICY", type=Path, help="folder of lam fit-actions")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument("--overwrite", action="store_true", help="replace a folder at DIR")


def run(args: argparse.Namespace) -> int:
    if args.out.resolve() == args.policy.resolve():
        raise UserError(f"{args.out} is the policy itself; choose another folder")

    from lam_models.stages.export import export

    done = export(args.policy, args.out, args.overwrite)
    print(
        f"{done.path}: {done.size_bytes / 1e6:.1f} MB of weights; half precision changes a step by "
        f"at most {1e3 * done.moved_m:.3f} mm, a number of a hand latent by {done.turned:.4f}"
    )
    return 0
