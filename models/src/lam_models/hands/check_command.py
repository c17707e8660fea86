"""`lam hand check`: is a hand's file right? A report card in the terminal, and its picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lam_models.command import UserError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from lam_models.hands.check import Findings
    from lam_models.hands.spec import HandSpec
    from lam_models.hands.spec_parts import Joint

SUMMARY = "check a hand's YAML file, and draw the hand it describes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "hand", metavar="FILE|NAME", help="a YAML file, or a hand of `lam hand list`"
    )
    parser.add_argument("--out", type=Path, metavar="PNG", help="picture of the report card")
    parser.add_argument("--seed", type=int, default=0, help="of the postures tried (default 0)")


def run(args: argparse.Namespace) -> int:
    """Exit code 0, or 1 for a hand with faults. A file that cannot be read is a UserError."""
    from rich.console import Console

    from lam_models.hands.check import examine
    from lam_models.hands.kinematics import open_kinematics
    from lam_models.hands.spec_file import read_hand

    if args.out is not None and args.out.suffix != ".png":
        raise UserError(f"--out is {args.out}; it must end in .png")
    kinematics = open_kinematics(read_hand(args.hand))
    findings = examine(kinematics, args.seed)
    _print(Console(), findings)
    if args.out is not None:
        from lam_models.hands.check_picture import draw

        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_bytes(draw(findings, kinematics))
        print(f"picture: {args.out}")
    return 0 if findings.sound else 1


def _print(console: Console, findings: Findings) -> None:
    spec = findings.spec
    console.print(
        f"[bold]{spec.hand}[/] ({spec.side}): {len(spec.actuated)} actuated of "
        f"{len(spec.joints)} joints, tips reach {findings.size:.2f} times a person's"
    )
    for table in (_joints(spec), _tips(findings), _command(findings)):
        console.print(table)
    vectors = ", ".join(f"{start} to {end}" for start, end in spec.key_vectors)
    console.print(f"key vectors: {vectors}", highlight=False)
    palm = spec.palm
    console.print(f"palm frame: in '{palm.link}' at {palm.at_m} m, rpy {palm.rpy_rad} rad")
    for note in findings.notes:
        console.print(f"[yellow]note[/]  {note}", highlight=False)
    for fault in findings.faults:
        console.print(f"[red]fault[/] {fault}", highlight=False)
    console.print("[green]sound[/]" if findings.sound else "[red]faulty[/]")


def _table(title: str, *columns: str) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(title), title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _joints(spec: HandSpec) -> Table:
    table = _table("joints", "joint", "limits", "follows", "works like")
    ends = [spec.expand(spec.lower), spec.expand(spec.upper)]
    for row, (name, joint) in enumerate(spec.joints.items()):
        low, high = sorted(float(end[row]) for end in ends)
        turns = spec.kind(name) == "revolute"
        limits = (
            f"{low:.3f} to {high:.3f} rad" if turns else f"{1000 * low:.1f} to {1000 * high:.1f} mm"
        )
        table.add_row(name, limits, _coupling(joint), joint.slot)
    return table


def _coupling(joint: Joint) -> str:
    if joint.follows is None:
        return ""
    follows = joint.follows
    offset = f" {follows.offset:+.3g}" if follows.offset else ""
    return f"{follows.ratio:.3g} * {follows.joint}{offset}"


def _tips(findings: Findings) -> Table:
    table = _table("fingertips [mm, palm frame]", "finger", "link", "at rest", "reach", "to thumb")
    gaps_m = {touch.finger: touch.gap_m for touch in findings.touches}
    for index, (finger, tip) in enumerate(findings.spec.fingertips.items()):
        at = ", ".join(f"{1000 * x:.0f}" for x in findings.tips_at_rest_m[index])
        gap = f"{1000 * gaps_m[finger]:.1f}" if finger in gaps_m else ""
        table.add_row(finger, tip.link, at, f"{1000 * findings.reach_m[index]:.0f}", gap)
    return table


def _command(findings: Findings) -> Table:
    command = findings.spec.command
    title = (
        f"command: {command.interface} {command.name} ({command.type}), unit {command.unit}, "
        f"{command.rate_hz:g} Hz, {command.reliability}, on silence {command.on_silence}"
    )
    table = _table(title, "channel", "joint", "at lower limit", "at upper limit")
    for channel in findings.channels:
        ends = (f"{value:.4g}" for value in (channel.at_lower, channel.at_upper))
        table.add_row(channel.name, channel.joint, *ends)
    return table
