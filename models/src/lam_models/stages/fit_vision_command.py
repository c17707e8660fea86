"""`lam fit-vision`: the command line of fit_vision.py."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

SUMMARY = "train a small vision network on the images of datasets"


@dataclass(frozen=True)
class FitVision:
    """What to train on which images.

    width, depth, heads, patch, size: of the network and, in pixels, of its patches and images.
    latents: weight of the slow copy's features beside the pixels.
    """

    datasets: tuple[Path, ...]
    out: Path
    camera: str | None = None
    size: int = 64
    patch: int = 8
    width: int = 96
    depth: int = 4
    heads: int = 4
    latents: float = 1.0
    steps: int = 1500
    batch_size: int = 48
    learning_rate: float = 1.5e-3
    seed: int = 0
    resume: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    default = FitVision((), Path())
    add = parser.add_argument
    add("datasets", nargs="+", type=Path, metavar="DATASET", help="LeRobot datasets")
    add("--out", type=Path, required=True, metavar="DIR", help="folder to write; must not exist")
    add("--camera", metavar="NAME", help="default: the datasets' first")
    add("--size", type=int, default=default.size, help="pixels of a side (default %(default)s)")
    add("--patch", type=int, default=default.patch, help="pixels (default %(default)s)")
    add("--width", type=int, default=default.width, help="default %(default)s")
    add("--depth", type=int, default=default.depth, help="default %(default)s")
    add("--heads", type=int, default=default.heads, help="default %(default)s")
    add(
        "--latents",
        type=float,
        default=default.latents,
        help="weight of the features of a slow copy beside the pixels; 0 is a masked autoencoder "
        "(default %(default)s)",
    )
    add("--steps", type=int, default=default.steps, help="default %(default)s")
    add("--batch-size", type=int, default=default.batch_size, help="images (default %(default)s)")
    add("--learning-rate", type=float, default=default.learning_rate, help="default %(default)s")
    add("--resume", action="store_true", help="go on where an interrupted run to DIR stopped")
    add("--seed", type=int, default=default.seed, help="default %(default)s")


def run(args: argparse.Namespace) -> int:
    from lam_models.stages.fit_vision import fit_vision

    values = {key: value for key, value in vars(args).items() if hasattr(FitVision, key)}
    fit_vision(FitVision(tuple(args.datasets), args.out, **values))
    return 0
