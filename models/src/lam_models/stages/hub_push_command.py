"""`lam hub push`: a dataset or a model folder goes to a hub."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "put a dataset or a model folder on a hub"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "folder", metavar="FOLDER", type=Path, help="a LeRobot dataset, or a model or policy folder"
    )
    add(
        "repo", metavar="REPO", help="owner/name; made where there is none, replaced where there is"
    )
    add("--private", action="store_true", help="where the repository is made")


def run(args: argparse.Namespace) -> int:
    from lam_models.stages.hub import push

    print(f"{args.folder} is at {push(args.folder, args.repo, private=args.private)}")
    return 0
