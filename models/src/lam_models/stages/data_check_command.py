"""`lam data check`: what is wrong with a dataset, in words, and with pictures on request."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lam_models.command import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from lam_models.data.doctor.examine import Diagnosis
    from lam_models.data.doctor.finding import Finding

SUMMARY = "examine a LeRobot dataset: rates, gaps, cameras, units, actions, instructions, files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("dataset", metavar="DATASET", type=Path, help="a LeRobotDataset v3 folder")
    add("--report", type=Path, metavar="DIR", help="write report.md and pictures there")
    add("--strict", action="store_true", help="notes count as faults")
    add(
        "--every-frame",
        action="store_true",
        help="decode every frame of every video, which takes longer and finds single damaged ones",
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 0, or 1 for a dataset with faults."""
    from rich.console import Console

    from lam_models.data.doctor.report import verdict, write_report

    if args.report is not None and args.report.exists() and not args.report.is_dir():
        raise UserError(f"--report is {args.report}, which is a file; name a folder")
    diagnosis = _examine(args.dataset, args.every_frame)
    _print(Console(highlight=False, markup=False, soft_wrap=True), diagnosis)
    print(verdict(diagnosis))
    if args.report is not None:
        print(f"report: {write_report(diagnosis, args.report)}")
    return 1 if diagnosis.faults or (args.strict and diagnosis.findings) else 0


def _examine(path: Path, every_frame: bool) -> Diagnosis:
    """With a bar that counts videos looked at: episodes times cameras."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from lam_models.data.doctor.examine import examine

    columns = (TextColumn("looking at cameras"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=_looks(path))
        return examine(path, every_frame, lambda count: bar.advance(task, count))


def _looks(path: Path) -> int | None:
    """Episodes times cameras by info.json alone; None where it does not say."""
    from lam_models.data.lerobot_layout import INFO_PATH, info_from_json
    from lam_models.data.lerobot_read import read_json

    try:
        info = info_from_json(read_json(path / INFO_PATH), str(path))
        return info.totals.episodes * len(info.schema.cameras)
    except UserError:
        return None


def _print(console: Console, diagnosis: Diagnosis) -> None:
    from lam_models.data.doctor.report import summary

    if diagnosis.patient is not None:
        console.print(f"{diagnosis.path}: {summary(diagnosis.patient)}")
    for finding in diagnosis.findings:
        _print_finding(console, finding)


def _print_finding(console: Console, finding: Finding) -> None:
    colour = "red" if finding.severity == "fault" else "yellow"
    console.print(f"\n{finding.severity}: {finding.name}", style=f"bold {colour}")
    console.print(f"  {finding.said}")
    console.print(f"  What to do: {finding.cure}")
