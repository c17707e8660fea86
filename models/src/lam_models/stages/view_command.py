"""`lam view`: look at an episode: cameras, path, actions, motion codes, hand, gaps.

With rerun-sdk and a display its window opens. Without a display an .rrd is written, and without
rerun-sdk an .mp4 with a .png beside it. A recorded bag is converted into a temporary dataset first.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lam_models.command import UserError

if TYPE_CHECKING:
    from lam_models.stages.view_shown import Gap, Shown

SUMMARY = "look at an episode: in rerun, or as an .rrd, or an .mp4 and a .png"

_SUFFIXES = (".rrd", ".mp4", ".png")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("what", metavar="EPISODE|DATASET", type=Path, help="a LeRobot dataset, or a recorded bag")
    add("--episode", type=int, metavar="N", help="of the dataset (default: its first)")
    add("--out", type=Path, metavar="FILE", help="write .rrd, .mp4 or .png; opens no window")
    add("--latents", metavar="SPACE", help="motion latents to show, where there are several")
    add("--robot", metavar="YAML", help="of a bag whose sidecar has no robot")


def run(args: argparse.Namespace) -> int:
    from lam_models.stages import view_rerun
    from lam_models.stages.view_shown import gather

    if args.out is not None and args.out.suffix not in _SUFFIXES:
        raise UserError(f"--out is {args.out}; it must end in {', '.join(_SUFFIXES)}")
    if args.out is not None and args.out.suffix == ".rrd" and not view_rerun.installed():
        raise UserError("rerun-sdk is not installed: pip install rerun-sdk, or name an .mp4 file")
    with _dataset(args) as path:
        shown = gather(path, _number(path, args.episode), args.latents)
        for line in (*shown.notes, *map(_gap_words, shown.gaps)):
            print(line)
        if args.out is None and view_rerun.installed() and has_display():
            view_rerun.show(shown)
            return 0
        suffix = ".rrd" if view_rerun.installed() else ".mp4"
        out = args.out or Path("out/view") / f"{shown.name}{suffix}"
        for written in _write(shown, out, alone=args.out is not None):
            print(written)
    return 0


def has_display() -> bool:
    """Whether a window can open here."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _write(shown: Shown, out: Path, alone: bool) -> list[Path]:
    """What was written; beside a film nobody named, its sheet."""
    if out.suffix == ".rrd":
        from lam_models.stages.view_rerun import write_rrd

        write_rrd(shown, out)
        return [out]
    from lam_models.stages.view_film import write_film, write_sheet

    written = []
    if out.suffix == ".mp4":
        write_film(shown, out)
        written.append(out)
    if out.suffix == ".png" or not alone:
        write_sheet(shown, out.with_suffix(".png"))
        written.append(out.with_suffix(".png"))
    return written


def _number(path: Path, wanted: int | None) -> int:
    from lam_models.data.lerobot_read import Dataset

    return Dataset.open(path).episodes[0].index if wanted is None else wanted


def _gap_words(gap: Gap) -> str:
    return f"gap of {gap.missing_s:.3g} s after frame {gap.frame} by '{gap.column}'"


@contextlib.contextmanager
def _dataset(args: argparse.Namespace) -> Iterator[Path]:
    """The dataset itself, or a temporary one made of a recording."""
    path: Path = args.what
    if (path / "meta" / "info.json").is_file():
        yield path
        return
    if not path.is_dir() or not list(path.glob("*.mcap")):
        raise UserError(f"{path} is neither a LeRobot dataset nor a recorded episode (.mcap)")
    from lam_models.stages import from_bags_command

    with tempfile.TemporaryDirectory() as folder:
        parser = argparse.ArgumentParser()
        from_bags_command.add_arguments(parser)
        made = Path(folder) / path.name
        words = [str(path), "--out", str(made), "--workers", "1"]
        words += ["--outcome", "success,failure,unknown,discarded"]
        words += ["--robot", args.robot] if args.robot else []
        if from_bags_command.run(parser.parse_args(words)):
            raise UserError(f"{path} cannot be converted; lam data from-bags says why")
        yield made
