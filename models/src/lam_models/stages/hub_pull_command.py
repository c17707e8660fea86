"""`lam hub pull`: a dataset or a model folder comes from a hub."""

from __future__ import annotations

import argparse
from pathlib import Path

SUMMARY = "get a dataset or a model folder from a hub"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", metavar="FOLDER", type=Path, help="folder to write; must not exist")
    add("repo", metavar="REPO", help="owner/name")
    add("--kind", choices=("model", "dataset"), default="", help="default: the one that there is")
    add("--revision", default="", help="branch, tag or commit (default: the newest)")


def run(args: argparse.Namespace) -> int:
    from lam_models.stages.hub import pull

    kind = pull(args.folder, args.repo, kind=args.kind, revision=args.revision)
    print(f"{args.folder}: {kind} {args.repo}")
    return 0
