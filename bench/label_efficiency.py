"""How many labelled episodes does a policy need? With video taught first, and without.

Demonstrations of one task are recorded twice, as they are and with a moving background, other
moving objects and a shaking camera. All of them are video; of 5 to 100 the actions are known too.
Recipes (lam_models/recipes.py): LAPA's, UniVLA's and LAOM's latents learnt of the video and then
grounded; the same network from scratch; VPT, whose inverse dynamics label the video; ActionVLA, to
which the actions of all the video are known; and the plain cloner. All see both cameras whole, and
are grounded for the same number of steps. UniPi and OpenVLA's bins stand beside them at one number
of labels.

A cell is one recipe with one number of labels, condition and seed. It is saved in
results/label_efficiency when it is measured, so that an interrupted run goes on where it stopped,
on this machine or another, seed after seed, without distractors first; so_far.png there is the
figure of what is done. 42 cells a seed, one core each; what was trained stays in
out/bench/label_efficiency. LAPA's claim, that video helps and most where labels are few, is judged
over the seeds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import mean

from label_cells import DISTRACTORS, HAND, Cell, Plan, data_of, place_of, pretrain, run
from label_figure import draw
from orderings import Ordering, judge_ordering
from rich.progress import Progress

from report import ROOT, Benchmark, Goal, Row, main

SEEDS = (0, 1, 2)
LABELS = (5, 20, 100)
LATENT = ("lapa", "univla", "laom")
WITH_LABELS = (*LATENT, "scratch", "vpt", "cloner")
# At this number of labels only.
BESIDE, BESIDE_LABELS = ("unipi", "openvla_bins"), 20
FEW, MANY = (5, 20), (100,)
FOLDER = ROOT / "out" / "bench" / "label_efficiency"
CELLS = ROOT / "bench" / "results" / "label_efficiency"
FULL = Plan(
    folder=str(FOLDER),
    cells=str(CELLS),
    preset="small",
    videos=200,
    held=20,
    trials=40,
    task="pick_place",
    image=96,
    model=1000,
    latent=1000,
    inverse=600,
    actions=1000,
)
QUICK = replace(
    FULL,
    folder=str(FOLDER / "quick"),
    cells=str(FOLDER / "quick" / "cells"),
    preset="tiny",
    videos=6,
    held=2,
    trials=1,
    task="reach",
    image=32,
    **dict.fromkeys(("model", "latent", "inverse", "actions"), 10),
)


def measure(quick: bool) -> list[Row]:
    plan = QUICK if quick else FULL
    if quick:
        shutil.rmtree(plan.folder, ignore_errors=True)
    keep_plan(plan)
    every: list[Cell] = []
    for condition in ("clean",) if quick else DISTRACTORS:
        record(plan, condition)
        for seed in SEEDS[:1] if quick else SEEDS:
            cells = cells_of(seed, condition, (3,) if quick else LABELS)
            every += cells
            missing = [cell for cell in cells if not place_of(plan, cell).exists()]
            # What video teaches first: two cells may not make the same thing at once.
            shared = {cell.recipe: cell for cell in missing if cell.recipe in (*LATENT, "unipi")}
            spread(f"video, {condition}, seed {seed}", pretrain, plan, list(shared.values()))
            spread(f"labels, {condition}, seed {seed}", run, plan, missing)
            draw(rows_of(plan, every), Path(plan.cells) / "so_far.png")
    return rows_of(plan, every)


def rows_of(plan: Plan, cells: list[Cell]) -> list[Row]:
    """As they were saved."""
    return [json.loads(place_of(plan, cell).read_text()) for cell in cells]


def cells_of(seed: int, condition: str, labels: tuple[int, ...]) -> list[Cell]:
    """The upper bound knows all labels, and has one cell where the others have several."""
    beside = BESIDE_LABELS if BESIDE_LABELS in labels else labels[0]
    wanted = [(recipe, count) for count in labels for recipe in WITH_LABELS]
    wanted += [("action_vla", 0), *((recipe, beside) for recipe in BESIDE)]
    return [Cell(recipe, condition, count, seed) for recipe, count in wanted]


def keep_plan(plan: Plan) -> None:
    """Cells of another plan are not mixed with these: exits where there are such."""
    from lam_models.policy.slot_config import Config
    from lam_models.strict_json import to_json

    same = {name: value for name, value in asdict(plan).items() if name not in ("folder", "cells")}
    facts = {"plan": same, "policy": to_json(getattr(Config, plan.preset)())}
    path = Path(plan.cells) / "plan.json"
    if path.exists() and json.loads(path.read_text()) != facts:
        sys.exit(f"{path.parent} was begun with another plan or policy: remove it to begin anew")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(facts, indent=1) + "\n")


def record(plan: Plan, condition: str) -> None:
    """The video of a condition, and unseen episodes of it."""
    names = ",".join(DISTRACTORS[condition]) or "none"
    for part, episodes, seed in (("videos", plan.videos, 0), ("held", plan.held, 1)):
        out = data_of(plan, condition, part)
        if out.exists():
            continue
        command = [str(Path(sys.executable).parent / "lam"), "data", "generate", "--hand", HAND]
        command += ["--task", plan.task, "--size", str(plan.image), "--distractors", names]
        command += ["--episodes", str(episodes), "--seed", str(seed), "--out", str(out)]
        subprocess.run(command, check=True)


def spread(title: str, work, plan: Plan, cells: list[Cell]) -> None:
    """One process a core."""
    if not cells:
        return
    os.environ.update(OMP_NUM_THREADS="1", MUJOCO_GL=os.environ.get("MUJOCO_GL", "egl"))
    with Progress() as progress:
        task = progress.add_task(title, total=len(cells))
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
            for done in as_completed([pool.submit(work, plan, cell) for cell in cells]):
                progress.console.print(done.result())
                progress.advance(task)


def rate(rows: list[Row], recipe: str, condition: str, labels: tuple[int, ...]) -> float:
    """Mean success over these numbers of labels."""
    return mean(
        float(row["success"])
        for row in rows
        if row["recipe"] == recipe and row["condition"] == condition and row["labels"] in labels
    )


def gain(rows: list[Row], recipe: str, condition: str, labels: tuple[int, ...]) -> float:
    """Success beyond scratch with the same labels."""
    return rate(rows, recipe, condition, labels) - rate(rows, "scratch", condition, labels)


def claims() -> list[Ordering]:
    out = []
    for where in DISTRACTORS:
        for recipe in (*LATENT, "vpt"):
            few = f"{recipe} beats scratch where labels are few, {where}"
            most = f"{recipe} helps more where they are few than where they are many, {where}"
            out.append(Ordering(few, lambda rows, r=recipe, w=where: gain(rows, r, w, FEW)))
            out.append(
                Ordering(
                    most,
                    lambda rows, r=recipe, w=where: gain(rows, r, w, FEW) - gain(rows, r, w, MANY),
                )
            )
    return out


def findings(rows: list[Row]) -> list[Row]:
    """None of a quick run, which has too few cells."""
    if {row["seed"] for row in rows} != set(SEEDS):
        return []
    return [judge_ordering(claim, rows, SEEDS) for claim in claims()]


def table(rows: list[Row]) -> list[Row]:
    """Means over seeds, a line a recipe and number of labels."""
    out: dict[tuple[str, int], Row] = {}
    for key in dict.fromkeys((str(row["recipe"]), int(row["labels"])) for row in rows):
        out[key] = {"recipe": key[0], "labels": key[1] or "all"}
        for where in dict.fromkeys(str(row["condition"]) for row in rows):
            held = [
                r for r in rows if (r["recipe"], r["labels"]) == key and r["condition"] == where
            ]
            for name in ("success", "nmse", "nmse_hand"):
                out[key][f"{where} {name}"] = mean(float(row[name]) for row in held)
    return list(out.values())


def best_gain(rows: list[Row]) -> float:
    """Of the pretrained recipes, the greatest mean gain with few labels and no distractors."""
    return max(gain(rows, recipe, "clean", FEW) for recipe in LATENT)


BENCHMARK = Benchmark(
    name="label_efficiency",
    summary="success and action error against the number of labelled episodes",
    measure=measure,
    draw=draw,
    goals=(Goal("success that video adds to few labels, best of three", best_gain, at_least=0.0),),
    seeds=SEEDS,
    table=table,
    findings=findings,
)

if __name__ == "__main__":
    main(BENCHMARK)
