"""`lam label`: the command line of label.py."""

from __future__ import annotations

import argparse
from pathlib import Path

from lam_models.command import UserError
from lam_models.stages.device import device_named

SUMMARY = "write a model's latents beside a dataset"

_EPILOG = """The latents go to DATASET/latents/<space>-<hash>/, in parquet files that match the
dataset's own, row for row. Interrupted, the same command goes on where it was."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument("model", metavar="MODEL", type=Path, help="folder of a latent-action model")
    parser.add_argument("dataset", metavar="DATASET", type=Path, help="a LeRobot dataset")
    parser.add_argument("--camera", metavar="NAME", help="default: the one the model learnt from")
    parser.add_argument("--batch-size", type=int, default=64, help="clips at a time (default 64)")
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

    from lam_models.stages.label import describe, label

    try:
        latents = label(
            args.model,
            args.dataset,
            camera=args.camera,
            batch_size=args.batch_size,
            cache=args.cache,
            device=device_named(args.device),
        )
    except KeyboardInterrupt:
        print("Stopped; what is labelled is kept. The same command goes on from there.")
        return 130
    print(f"{latents.path}: {describe(latents)}")
    return 0
