"""Latent replay: grasps demonstrated with one simulated hand, carried to another, lift the object.

The expert picks things up with a hand; where the end effector was and what the hand did is kept.
Then the same scene stands there again with another hand. The wrist goes where it went, the hand
does what the demonstrated posture becomes on its way through the space (or by direct retargeting).
No expert, no truth, no correction: a lift is what it is. Replays of a hand on itself, without any
space, say how much of a failure is the replay's.

Where a hand's grasp lies in its own frame differs from hand to hand; the wrist is shifted by one
constant vector a hand and method: from the middle between thumb and fingers of the demonstrated
closing posture to that of the carried one, so that both close around the same place.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from hand_replay_motion import HANDS, Demonstration, demonstrate, replay
from hand_replay_ways import Way, ways

from lam_sim.rollouts.wilson import wilson_interval
from report import Benchmark, Goal, Row, main

matplotlib.use("Agg")
os.environ.setdefault("MUJOCO_GL", "egl")

EACH = 12  # Demonstrations of each shape with each hand.
QUICK_EACH = 1
SHAPES: tuple[str, ...] = ("cube", "cylinder", "ball", "hexagon", "bar", "capsule")
FIRST_SEED = 40_000
GRIPPER = "parallel_gripper"
OURS, DIRECT, ITSELF = "space", "IK", "itself"


@dataclass(frozen=True)
class Cell:
    """Replays of one hand's demonstrations on another, by one way."""

    way: str
    source: str
    target: str


def measure(quick: bool) -> list[Row]:
    each = QUICK_EACH if quick else EACH
    rows: list[Row] = []
    made = ways(HANDS)
    for source in HANDS:
        demonstrations = list(collect(source, each))
        for target in HANDS:
            if target == source:
                rows += replays(Cell(ITSELF, source, target), None, demonstrations)
                continue
            for name, way in made.items():
                rows += replays(Cell(name, source, target), way, demonstrations)
    return rows


def collect(hand: str, each: int) -> Iterator[Demonstration]:
    """`each` demonstrated lifts of every shape; what the expert failed to lift is left out."""
    found = dict.fromkeys(SHAPES, 0)
    seed = FIRST_SEED
    while min(found.values()) < each:
        shown = demonstrate(hand, seed, wanted=[s for s in SHAPES if found[s] < each])
        seed += 1
        if shown is not None:
            found[shown.shape] += 1
            yield shown


def replays(cell: Cell, way: Way | None, demonstrations: list[Demonstration]) -> Iterator[Row]:
    """One row a shape."""
    lifted: dict[str, list[bool]] = {shape: [] for shape in SHAPES}
    for shown in demonstrations:
        lifted[shown.shape].append(replay(shown, cell.target, way))
    for shape, of in lifted.items():
        low, high = wilson_interval(sum(of), len(of))
        yield {
            "way": cell.way,
            "source": cell.source,
            "target": cell.target,
            "object": shape,
            "replays": len(of),
            "rate": sum(of) / len(of),
            "wilson_low": low,
            "wilson_high": high,
        }


def rate(rows: list[Row], way: str, sources: tuple[str, ...], targets: tuple[str, ...]) -> float:
    """Mean over objects and pairs of hands."""
    return statistics.mean(
        float(row["rate"])
        for row in rows
        if row["way"] == way
        and row["source"] in sources
        and row["target"] in targets
        and row["source"] != row["target"]
    )


def table(rows: list[Row]) -> list[Row]:
    """A line a pair of hands and way: the mean over objects, and the worst of them."""
    lines: dict[tuple[str, ...], list[float]] = {}
    for row in rows:
        key = tuple(str(row[name]) for name in ("source", "target", "way"))
        lines.setdefault(key, []).append(float(row["rate"]))
    return [
        {
            "source": source,
            "target": target,
            "way": way,
            "lifted": round(statistics.mean(rates), 3),
            "worst object": round(min(rates), 3),
        }
        for (source, target, way), rates in lines.items()
    ]


def draw(rows: list[Row], path: Path) -> None:
    """A panel a pair of hands, bars by object."""
    import matplotlib.pyplot as plt

    cells = list(dict.fromkeys((str(r["source"]), str(r["target"])) for r in rows))
    figure, axes = plt.subplots(len(HANDS), len(HANDS), figsize=(13, 8), sharex=True, sharey=True)
    colours = {OURS: "tab:blue", DIRECT: "tab:orange", ITSELF: "tab:gray"}
    for axis, (source, target) in zip(axes.flat, cells, strict=True):
        of_it = [r for r in rows if (r["source"], r["target"]) == (source, target)]
        used = list(dict.fromkeys(str(r["way"]) for r in of_it))
        for index, way in enumerate(used):
            of_way = [r for r in of_it if r["way"] == way]
            rates = np.array([float(r["rate"]) for r in of_way])
            bounds = np.array([[float(r["wilson_low"]), float(r["wilson_high"])] for r in of_way])
            at = np.arange(len(SHAPES)) + 0.4 * index - 0.2 * (len(used) - 1)
            spread = np.abs(bounds.T - rates)
            axis.bar(at, rates, 0.38, yerr=spread, label=way, color=colours[way], capsize=2)
        axis.set_title(f"{source} to {target}", fontsize=9)
        axis.set_xticks(range(len(SHAPES)), SHAPES, rotation=40, fontsize=8)
        axis.axhline(0.82, color="black", linewidth=0.6, linestyle=":")
        axis.legend(fontsize=7, loc="lower right")
    figure.supylabel("share of demonstrations that lift the thing (95 % intervals)")
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


DEXTEROUS = ("four_finger", "five_finger")
GOALS = (
    Goal(
        "latent replay, gripper to hand, lifted",
        lambda rows: rate(rows, OURS, (GRIPPER,), DEXTEROUS),
        at_least=0.82,
    ),
    Goal(
        "latent replay, hand to gripper, lifted",
        lambda rows: rate(rows, OURS, DEXTEROUS, (GRIPPER,)),
        at_least=0.82,
    ),
)

BENCHMARK = Benchmark(
    "hand_replay",
    "grasps of one simulated hand, carried to another, lift things",
    measure,
    draw,
    GOALS,
    (FIRST_SEED,),
    table=table,
)

if __name__ == "__main__":
    main(BENCHMARK)
