"""Picking and placing with hands that a policy was not taught, through ROS.

Four ways to drive a hand, each learnt of 100 episodes: the latent that all hands share, learnt with
the gripper; named joint slots (hands/slot_space.py) in its place, learnt with the gripper by the
same network; the plain cloner of the shared latent, learnt with the gripper; and a policy for each
hand, learnt of that hand's own episodes, which is what there is to lose. A cell is a way, a hand
and a seed: saved in results/untaught_hands when it is measured, so that an interrupted run goes on
where it stopped; what was trained stays in out/bench/untaught_hands.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib
import numpy as np

from lam_sim.rollouts.wilson import wilson_interval
from report import ROOT, Benchmark, Goal, Row, main

matplotlib.use("Agg")

SEEDS = (0, 1, 2)
TASK, GRIPPER = "pick_place", "parallel_gripper"
HANDS = (GRIPPER, "four_finger", "five_finger")
SHARED, SLOTS, CLONER, OWN = "shared latent", "named slots", "plain cloner", "policy of each hand"
# Scenes of the test, the same in all cells; nothing was ever chosen by them.
SCENES = 5005
PLACES = ("--set", 'cameras=["front"]')
WHOLE_VIEWS = ("--preset", "cloner", "--set", 'cameras=["wrist","front"]')


@dataclass(frozen=True)
class Plan:
    """demonstrations: of each hand. steps: of the cloner, and of all others. trials: of a cell."""

    folder: Path
    cells: Path
    demonstrations: int
    cloner_steps: int
    steps: int
    trials: int
    words: tuple[str, ...] = ()


FULL = Plan(
    folder=ROOT / "out" / "bench" / "untaught_hands",
    cells=ROOT / "bench" / "results" / "untaught_hands",
    demonstrations=100,
    cloner_steps=4000,
    steps=800,
    trials=50,
)
QUICK_FOLDER = ROOT / "out" / "bench" / "untaught_hands_quick"
QUICK = Plan(QUICK_FOLDER, QUICK_FOLDER / "cells", 4, 5, 5, 1, ("--preset", "tiny"))


@dataclass(frozen=True)
class Cell:
    """learnt: the hand whose demonstrations the policy has."""

    way: str
    learnt: str
    hand: str
    seed: int

    @property
    def name(self) -> str:
        return "-".join([*self.way.split(), self.hand, str(self.seed)])

    @property
    def policy(self) -> str:
        return "-".join([*self.way.split(), self.learnt, str(self.seed)])


def cells(seed: int) -> list[Cell]:
    """A seed's; the gripper's own policy is that of the shared latent."""
    shared = [Cell(way, GRIPPER, hand, seed) for way in (SHARED, SLOTS, CLONER) for hand in HANDS]
    return [*shared, *(Cell(OWN, hand, hand, seed) for hand in HANDS if hand != GRIPPER)]


def measure(quick: bool) -> list[Row]:
    if quick:
        shutil.rmtree(QUICK_FOLDER, ignore_errors=True)
        return [row(QUICK, Cell(SLOTS, GRIPPER, "four_finger", 0))]
    return [row(FULL, cell) for seed in SEEDS for cell in cells(seed)]


def row(plan: Plan, cell: Cell) -> Row:
    """What came of a cell; one that is measured is not measured again."""
    saved = plan.cells / f"{cell.name}.json"
    if not saved.exists():
        space = slots(plan) if cell.way == SLOTS else ()
        policy, out = trained(plan, cell, space), plan.folder / "results" / cell.name
        words = ("--policy", str(policy), *space, "--task", TASK, "--hand", cell.hand)
        scenes = ("--difficulty", "0", "--episodes", str(plan.trials), "--seed", str(SCENES))
        # Two workers would wait for each other, and their policies with them.
        lam("eval", "--ros", *words, *scenes, "--workers", "1", "--out", str(out))
        found = json.loads((out / "results.json").read_text())["cells"][0]
        successes = round(found["rate"] * found["episodes"])
        content = {**asdict(cell), "successes": successes, "trials": found["episodes"]}
        saved.parent.mkdir(parents=True, exist_ok=True)
        saved.write_text(json.dumps(content, indent=1) + "\n")
    return json.loads(saved.read_text())


def slots(plan: Plan) -> tuple[str, ...]:
    """The option that names the space of named slots."""
    space = plan.folder / "slots"
    if not space.exists():
        lam("hand", "slots", "--hands", *HANDS, "--out", str(space))
    return ("--space", str(space))


def trained(plan: Plan, cell: Cell, space: tuple[str, ...]) -> Path:
    """The cell's policy; training that was interrupted goes on."""
    out = plan.folder / "policies" / cell.policy
    if not out.exists():
        plain = cell.way == CLONER
        steps = plan.cloner_steps if plain else plan.steps
        words = ("--hand", cell.learnt, "--seed", str(cell.seed), "--steps", str(steps))
        resumed = ("--resume",) if out.with_name(out.name + ".training").exists() else ()
        kind = WHOLE_VIEWS if plain else PLACES
        data, options = demonstrations(plan, cell), (*words, *kind, *plan.words, *resumed)
        lam("fit-actions", str(data), *space, "--delay", "0.2", *options, "--out", str(out))
    return out


def demonstrations(plan: Plan, cell: Cell) -> Path:
    """Of the learnt hand, with its own expert; other ones for each seed."""
    out = plan.folder / "demonstrations" / f"{cell.learnt}-{cell.seed}"
    if not out.exists():
        what = ("--task", TASK, "--hand", cell.learnt, "--difficulty", "0", "--size", "192")
        many = ("--episodes", str(plan.demonstrations), "--seed", str(cell.seed))
        lam("data", "generate", *what, *many, "--out", str(out))
    return out


def lam(*words: str) -> None:
    subprocess.run(["lam", *words], check=True)


def pooled(rows: list[Row], way: str, hand: str) -> tuple[int, int]:
    """Successes and trials of all seeds."""
    mine = [r for r in rows if (r["way"], r["hand"]) == (way, hand)]
    return sum(int(r["successes"]) for r in mine), sum(int(r["trials"]) for r in mine)


def table(rows: list[Row]) -> list[Row]:
    """A line a way and hand: all seeds, their interval, and each seed's successes."""
    out: list[Row] = []
    for way, hand in dict.fromkeys((str(r["way"]), str(r["hand"])) for r in rows):
        successes, trials = pooled(rows, way, hand)
        low, high = wilson_interval(successes, trials)
        each = [str(r["successes"]) for r in rows if (r["way"], r["hand"]) == (way, hand)]
        rate: Row = {"rate": successes / trials, "from": low, "to": high}
        out.append({"way": way, "hand": hand, **rate, "seeds": " ".join(each)})
    return out


def draw(rows: list[Row], path: Path) -> None:
    """A group a hand, a bar a way, with 95 % intervals over the seeds together."""
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
    lines = table(rows)
    ways, hands = (list(dict.fromkeys(str(r[key]) for r in lines)) for key in ("way", "hand"))
    for i, way in enumerate(ways):
        mine = [r for r in lines if r["way"] == way]
        at = np.array([hands.index(str(r["hand"])) for r in mine]) + 0.2 * (i - len(ways) / 2)
        rates = 100 * np.array([float(r["rate"]) for r in mine])
        ends = 100 * np.array([[float(r["from"]), float(r["to"])] for r in mine]).T
        axis.bar(at, rates, 0.18, yerr=np.abs(ends - rates), capsize=2, label=way)
    axis.set_xticks(range(len(hands)), [hand.replace("_", " ") for hand in hands])
    axis.set(ylabel="success [%], 95 % interval", ylim=(0, 105))
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=130)


def untaught(hand: str) -> Goal:
    def rate(rows: list[Row]) -> float:
        successes, trials = pooled(rows, SHARED, hand)
        return successes / trials

    return Goal(f"success with {hand}, learnt with the gripper alone", rate, at_least=0.65)


BENCHMARK = Benchmark(
    name="untaught_hands",
    summary="Picking and placing with hands that a policy was not taught",
    measure=measure,
    draw=draw,
    goals=[untaught(hand) for hand in HANDS[1:]],
    seeds=SEEDS,
    table=table,
)

if __name__ == "__main__":
    main(BENCHMARK)
