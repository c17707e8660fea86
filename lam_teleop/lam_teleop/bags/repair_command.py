"""`lam bags repair`: finish the episodes that a killed recorder left behind."""

from __future__ import annotations

import argparse
from pathlib import Path

from lam_models.command import UserError

SUMMARY = "finish the recordings that a killed recorder left behind"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a recording, or the folder of many")


def run(args: argparse.Namespace) -> int:
    from lam_teleop.bags.repair import find_episodes, repair

    failed = finished = 0
    for folder in find_episodes(args.folder):
        try:
            done = repair(folder)
        except (UserError, OSError) as error:
            print(f"{folder.name}: not repaired: {error}")
            failed += 1
            continue
        if done.was_finished:
            finished += 1
            continue
        cut = f", {done.cut_bytes} bytes at its end cut" if done.cut_bytes else ""
        kept = f"{done.message_count} messages in {done.duration_s:.2f} s kept"
        print(f"{done.folder.name}: {kept}{cut}")
    if finished:
        print(f"{finished} finished before, not touched")
    return int(failed > 0)
