"""What every benchmark shares: its command line, its saved result and the check against its goals.

A benchmark script measures in `measure(quick) -> rows`, states its goals as data and calls `main`.
A run writes bench/results/<name>.json (machine, commit, duration, rows) and a picture <name>.png;
`--quick` (under a minute) writes to out/bench instead, so that it never replaces a full run, and
shows only that the script works;
`--check` measures nothing: it judges the saved rows and exits 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
Row = dict[str, str | float | int | bool]


@dataclass(frozen=True)
class Goal:
    """`holds(rows)` gives the figure reached; the goal is met where it lies within the bounds."""

    text: str
    figure: Callable[[list[Row]], float]
    at_least: float = float("-inf")
    at_most: float = float("inf")


@dataclass(frozen=True)
class Benchmark:
    """One script: what it measures, what it aims at, and how its rows are drawn (path to write).

    table: the rows that are printed, where the measured ones are too many to read.
    findings: what follows from the rows beside the goals; printed and saved, met or not.
    """

    name: str
    summary: str
    measure: Callable[[bool], list[Row]]
    draw: Callable[[list[Row], Path], None]
    goals: Sequence[Goal] = ()
    seeds: Sequence[int] = ()
    table: Callable[[list[Row]], list[Row]] | None = None
    findings: Callable[[list[Row]], list[Row]] | None = None


def machine() -> dict[str, str | int]:
    """Enough to know what the figures were measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count() or 0,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def commit() -> str:
    """The commit that was measured, with "+" where the tree had changes."""
    command = ["git", "describe", "--always", "--dirty=+", "--abbrev=10", "--exclude=*"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def show(rows: list[Row], title: str) -> None:
    """Print rows as a table, its columns in order of first appearance."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(title=title, title_justify="left")
    for name in columns:
        table.add_column(name, justify="left" if isinstance(rows[0].get(name), str) else "right")
    for row in rows:
        table.add_row(*[_cell(row.get(name, "")) for name in columns])
    Console(width=max(100, Console().width)).print(table)


def figure_of(name: str, **where: str | int) -> Callable[[list[Row]], float]:
    """For goals: a figure of the first row whose entries are those of `where`.

    NaN, which meets no goal, where that row has no such figure.
    """
    return lambda rows: next(
        float(row.get(name, float("nan")))
        for row in rows
        if all(row.get(key) == value for key, value in where.items())
    )


def _cell(value: str | float | int | bool) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def judge(goals: Sequence[Goal], rows: list[Row]) -> bool:
    """Print each goal with the figure reached; True where all are met."""
    met_all = True
    for goal in goals:
        figure = goal.figure(rows)
        met = goal.at_least <= figure <= goal.at_most
        met_all &= met
        bound = f">= {goal.at_least:g}" if goal.at_least > float("-inf") else f"<= {goal.at_most:g}"
        print(f"{'met ' if met else 'MISSED'}  {goal.text} {bound}: {figure:.4g}")
    return met_all


def main(benchmark: Benchmark) -> None:
    """Parse the command line and run, or check the saved run of, one benchmark."""
    parser = argparse.ArgumentParser(description=benchmark.summary)
    parser.add_argument(
        "--quick", action="store_true", help="under a minute, into out/bench, unjudged"
    )
    parser.add_argument("--check", action="store_true", help="judge the saved results only")
    args = parser.parse_args()
    folder = ROOT / "out" / "bench" if args.quick else ROOT / "bench" / "results"
    saved = folder / f"{benchmark.name}.json"
    if args.check:
        if not saved.exists():
            sys.exit(f"{saved} is missing: run this script without --check first")
        rows = json.loads(saved.read_text())["rows"]
    else:
        # As after Ctrl-C, what `with` and `finally` clean up is cleaned up.
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
        started = time.monotonic()
        rows = benchmark.measure(args.quick)
        result = {
            "benchmark": benchmark.name,
            "quick": args.quick,
            "machine": machine(),
            "commit": commit(),
            "seeds": list(benchmark.seeds),
            "duration_s": round(time.monotonic() - started, 1),
            **({"findings": benchmark.findings(rows)} if benchmark.findings else {}),
            "rows": rows,
        }
        folder.mkdir(parents=True, exist_ok=True)
        saved.write_text(json.dumps(result, indent=1) + "\n")
        benchmark.draw(rows, folder / f"{benchmark.name}.png")
    shown = benchmark.table(rows) if benchmark.table else rows
    show(shown, f"{benchmark.summary} [{saved.relative_to(ROOT)}]")
    if benchmark.findings and (findings := benchmark.findings(rows)):
        show(findings, "What follows")
    if args.quick:
        print("The goals are those of the full run.")
    elif not judge(benchmark.goals, rows) and args.check:
        sys.exit(1)
