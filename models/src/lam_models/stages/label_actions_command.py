"""`lam label-actions`: the command line of label_actions.py."""

from __future__ import annotations

import argparse
from pathlib import Path

from lam_models.command import UserError
from lam_models.stages.device import device_named

SUMMARY = "write actions and poses that a model reads from video beside it"

_EPILOG = """They go to DATASET/pseudo_actions/<name>-<hash>/, row for row; lam fit-actions --pseudo
learns them, lam fit-actions --places-of-video the places that they lead to. Episodes that the model
learnt of keep their own."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument("model", metavar="MODEL", type=Path, help="a folder of lam fit-idm")
    parser.add_argument("dataset", metavar="DATASET", type=Path, help="a LeRobot dataset")
    parser.add_argument(
        "--space", default="", metavar="DIR", help="space of hands (default: the shipped one)"
    )
    parser.add_argument("--batch-size", type=int, default=64, help="pairs at a time (default 64)")
    parser.add_argument(
        "--cache", choices=("raw", "jpeg"), default="raw", help="how frames are kept (default raw)"
    )
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, or auto: cuda where there is one (default)"
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 0, or 130 after Ctrl-C."""
    if args.batch_size < 1:
        raise UserError(f"--batch-size is {args.batch_size}; it must be at least 1")

    from lam_models.stages.label_actions import label_actions

    try:
        found = label_actions(
            args.model,
            args.dataset,
            space=args.space,
            batch_size=args.batch_size,
            cache=args.cache,
            device=device_named(args.device),
        )
    except KeyboardInterrupt:
        print("Stopped; what was written is kept. The same command goes on from there.")
        return 130
    print(f"{found.path}: actions of {found.rows.valid.sum()} of {len(found.rows.valid)} rows")
    return 0
