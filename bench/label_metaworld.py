"""label_efficiency.py on an outside benchmark: five tasks of Meta-World, one policy for all.

The two recipes that did best there without distractors (VPT and LAOM, by the mean over its labels
and seeds; ActionVLA, which is told all actions, is none), the same network from scratch, and the
plain cloner; without distractors and with Meta-World's own scenes distracted in our way
(lam_sim/metaworld/distractors.py). Labels are counted over the five tasks together. Runs in
Meta-World's venv (`make metaworld`), of which it becomes a process by itself.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import label_efficiency
from label_cells import DISTRACTORS, Cell
from label_claims import Claims, table
from label_figure import draw
from label_sweep import LAM, sweep

from lam_sim.metaworld.venv import become, needed
from report import ROOT, Benchmark, Row, main

SEEDS = (0, 1, 2)
LABELS = (25, 100)
BEST = ("vpt", "laom")
WITH_LABELS = (*BEST, "scratch", "cloner")
HAND = ROOT / "lam_sim" / "lam_sim" / "metaworld" / "metaworld_gripper.yaml"
CLAIMS = Claims(BEST, SEEDS, few=(25,), many=(100,))
FOLDER = ROOT / "out" / "bench" / "label_metaworld"
FULL = replace(
    label_efficiency.FULL,
    folder=str(FOLDER),
    cells=str(ROOT / "bench" / "results" / "label_metaworld"),
    world="metaworld",
    tasks=("reach", "push", "drawer-open", "door-open", "button-press"),
    hand="metaworld_gripper",
    space=str(FOLDER / "space"),
    rate_hz=40.0,
    trials=16,
)
QUICK = replace(
    FULL,
    folder=str(FOLDER / "quick"),
    cells=str(FOLDER / "quick" / "cells"),
    tasks=("reach", "drawer-open"),
    **label_efficiency.BRIEF,
)


def measure(quick: bool) -> list[Row]:
    make_space(Path(FULL.space))
    if quick:
        shutil.rmtree(QUICK.folder, ignore_errors=True)
        return sweep(QUICK, ("clean",), SEEDS[:1], lambda s, c: cells_of(s, c, (4,)))
    return sweep(FULL, DISTRACTORS, SEEDS, cells_of)


def make_space(out: Path) -> None:
    """The shipped space with Meta-World's gripper beside its hands: two minutes."""
    if not out.exists():
        words = ("fit-hands", "--space", "shipped", "--add", str(HAND), "--out", str(out))
        subprocess.run([str(LAM), *words], check=True)


def cells_of(seed: int, condition: str, labels: tuple[int, ...] = LABELS) -> list[Cell]:
    return [Cell(recipe, condition, n, seed) for n in labels for recipe in WITH_LABELS]


BENCHMARK = Benchmark(
    name="label_metaworld",
    summary="success and action error against labelled episodes, on tasks of Meta-World",
    measure=measure,
    draw=draw,
    goals=(CLAIMS.goal,),
    seeds=SEEDS,
    table=table,
    findings=CLAIMS.findings,
)

if __name__ == "__main__":
    if needed("metaworld") and not {"-h", "--help", "--check"} & set(sys.argv):
        become(*sys.argv)
    main(BENCHMARK)
