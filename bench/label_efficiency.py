"""How many labelled episodes does a policy need? With video taught first, and without.

Demonstrations of one task are recorded twice, as they are and with a moving background, other
moving objects and a shaking camera. All of them are video; of 5 to 100 the actions are known too.
Recipes (lam_models/recipes.py): LAPA's, UniVLA's and LAOM's latents learnt of the video and then
grounded; the same network from scratch; VPT, whose inverse dynamics label the video; ActionVLA, to
which the actions of all the video are known; and the plain cloner. All see both cameras whole, are
of the cloner's size, so that one core learns one in a minute and a half, and are grounded for the
same number of steps.

A cell is one recipe with one number of labels, condition and seed. It is saved in
results/label_efficiency when it is measured (label_sweep.py), so that an interrupted run goes on
where it stopped. 19 cells a seed and condition, one core each; what was trained stays in
out/bench/label_efficiency. LAPA's claim, that video helps and most where labels are few, is judged
over the seeds.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

from label_cells import DISTRACTORS, Cell, Plan
from label_claims import Claims, table
from label_figure import draw
from label_sweep import sweep

from lam_sim.worlds import DEFAULT_KIND
from report import ROOT, Benchmark, Row, main

SEEDS = (0, 1, 2)
LABELS = (5, 20, 100)
LATENT = ("lapa", "univla", "laom")
WITH_LABELS = (*LATENT, "scratch", "vpt", "cloner")
CLAIMS = Claims((*LATENT, "vpt"), SEEDS, few=(5, 20), many=(100,))
FOLDER = ROOT / "out" / "bench" / "label_efficiency"
FULL = Plan(
    folder=str(FOLDER),
    cells=str(ROOT / "bench" / "results" / "label_efficiency"),
    preset="small",
    world=DEFAULT_KIND,
    tasks=("open_drawer",),
    hand="parallel_gripper",
    difficulty=0.0,
    space="",
    rate_hz=20.0,
    videos=200,
    held=20,
    trials=80,
    image=64,
    batch=32,
    model=600,
    latent=1000,
    inverse=400,
    actions=1500,
)
# What a quick run does less of.
BRIEF: dict[str, Any] = {
    "preset": "tiny",
    "videos": 6,
    "held": 2,
    "trials": 1,
    "image": 32,
    **dict.fromkeys(("model", "latent", "inverse", "actions"), 10),
}
QUICK = replace(
    FULL,
    folder=str(FOLDER / "quick"),
    cells=str(FOLDER / "quick" / "cells"),
    tasks=("reach",),
    **BRIEF,
)


def measure(quick: bool) -> list[Row]:
    if quick:
        shutil.rmtree(QUICK.folder, ignore_errors=True)
        return sweep(QUICK, ("clean",), SEEDS[:1], lambda s, c: cells_of(s, c, (3,)))
    return sweep(FULL, DISTRACTORS, SEEDS, cells_of)


def cells_of(seed: int, condition: str, labels: tuple[int, ...] = LABELS) -> list[Cell]:
    """The upper bound knows all labels, and has one cell where the others have several."""
    wanted = [(recipe, count) for count in labels for recipe in WITH_LABELS]
    wanted.append(("action_vla", 0))
    return [Cell(recipe, condition, count, seed) for recipe, count in wanted]


BENCHMARK = Benchmark(
    name="label_efficiency",
    summary="success and action error against the number of labelled episodes",
    measure=measure,
    draw=draw,
    goals=(CLAIMS.goal,),
    seeds=SEEDS,
    table=table,
    findings=CLAIMS.findings,
)

if __name__ == "__main__":
    main(BENCHMARK)
