"""How often a policy does its tasks through ROS: nodes, messages and clock as at work.

Scenes that no policy was trained on, 50 of each task, told apart by the instruction alone; then
picking and placing with hands that the policy may never have seen, and with distractors. Each cell
is one `lam eval --ros`; its folder under out/bench/closed_loop stays, and a run that was stopped
goes on with the next.

    python bench/closed_loop.py [--policy NAME=DIR ...]      default: the policy that is shipped
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

from lam_models.policy.shipped import shipped_policy
from report import ROOT, Benchmark, Goal, Row, commit, figure_of, main

matplotlib.use("Agg")

GRIPPER, SEED, EPISODES, QUICK_EPISODES = "parallel_gripper", 2, 50, 2
SHIPPED = "shipped"


@dataclass(frozen=True)
class Cell:
    """One table's cell, without distractors unless `distractors` names them."""

    task: str
    hand: str = GRIPPER
    distractors: str = "none"
    difficulty: float = 0.0

    @property
    def words(self) -> list[str]:
        """Those of `lam eval`."""
        return [
            *("--task", self.task, "--hand", self.hand, "--distractors", self.distractors),
            *("--difficulty", f"{self.difficulty:g}"),
        ]


TASKS = tuple(
    Cell(task) for task in ("reach", "push_to_zone", "pick_place", "stack", "open_drawer")
)
HANDS = tuple(Cell("pick_place", hand) for hand in ("four_finger", "five_finger"))
CELLS = (*TASKS, *HANDS, Cell("pick_place", distractors="all"))


def chosen() -> dict[str, Path]:
    """Take this script's own words off the command line; the rest is every benchmark's."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--policy", action="append", default=[], metavar="NAME=DIR")
    own, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    if {"-h", "--help"} & set(rest):
        print(parser.format_help())
    pairs = [text.partition("=") for text in own.policy]
    wrong = [name for name, equals, folder in pairs if not (name and equals and folder)]
    if wrong:
        sys.exit(f"--policy {wrong[0]}: say NAME=DIR")
    return {name: Path(folder) for name, _, folder in pairs}


POLICIES: dict[str, Path] = {}


def measure(quick: bool) -> list[Row]:
    episodes = QUICK_EPISODES if quick else EPISODES
    cells = CELLS[2:3] if quick else CELLS
    policies = POLICIES or {SHIPPED: shipped_policy()}
    return [
        row(name, folder, cell, episodes) for name, folder in policies.items() for cell in cells
    ]


def row(name: str, folder: Path, cell: Cell, episodes: int) -> Row:
    """What came of a cell; one that ran at this commit is not run again."""
    label = f"{commit()}-{name}-{cell.task}-{cell.hand}-{cell.distractors}-{episodes}"
    out = ROOT / "out" / "bench" / "closed_loop" / label
    if not (out / "results.json").exists():
        command = ["lam", "eval", "--ros", "--policy", str(folder), *cell.words]
        command += ["--episodes", str(episodes), "--seed", str(SEED), "--out", str(out)]
        # Two workers would wait for each other, and their policies with them.
        command += ["--workers", "1"]
        subprocess.run(command, check=True)
    found = json.loads((out / "results.json").read_text())["cells"][0]
    ran = found.get("execution", {})
    return {
        "policy": name,
        "task": cell.task,
        "hand": cell.hand,
        "distractors": cell.distractors,
        "episodes": found["episodes"],
        "rate": found["rate"],
        "from": found["wilson_95"][0],
        "to": found["wilson_95"][1],
        "mean_s": found["mean_success_s"] or float("nan"),
        "latency_p95_ms": ran.get("latency_p95_ms", float("nan")),
        "real_time_factor": ran.get("real_time_factor", float("nan")),
    }


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7.5, 0.4 * len(rows) + 1.2), layout="constrained")
    at = np.arange(len(rows))[::-1]
    rates = 100 * np.array([float(r["rate"]) for r in rows])
    spread = 100 * np.array([[float(r["from"]), float(r["to"])] for r in rows]).T
    axis.errorbar(rates, at, xerr=np.abs(spread - rates), fmt="o", color="#2a7f62", capsize=3)
    names = [" ".join(str(r[key]) for key in ("policy", "task", "hand")) for r in rows]
    ends = [", distractors" if r["distractors"] != "none" else "" for r in rows]
    axis.set_yticks(at, [name + end for name, end in zip(names, ends, strict=True)], fontsize=8)
    axis.set(xlabel=f"success of {rows[0]['episodes']} episodes [%], 95 % interval", xlim=(-2, 102))
    figure.savefig(path, dpi=120)


def goal(text: str, at_least: float, cell: Cell) -> Goal:
    """Of the shipped policy."""
    where = {"task": cell.task, "hand": cell.hand, "distractors": cell.distractors}
    return Goal(text, figure_of("rate", policy=SHIPPED, **where), at_least=at_least)


GOALS = [
    *(
        goal(f"success of {cell.task}", at_least, cell)
        for cell, at_least in zip(TASKS, (0.99, 0.95, 0.95, 0.75, 0.8), strict=True)
    ),
    *(goal(f"pick_place with {cell.hand}", 0.65, cell) for cell in HANDS),
]
BENCHMARK = Benchmark(
    name="closed_loop",
    summary="Success of policies through ROS",
    measure=measure,
    draw=draw,
    goals=GOALS,
    seeds=(SEED,),
)

if __name__ == "__main__":
    POLICIES = chosen()
    main(BENCHMARK)
