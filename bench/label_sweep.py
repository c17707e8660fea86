"""All cells of a plan: video recorded, taught once, every recipe trained and measured.

A cell that is measured stays measured: an interrupted sweep goes on where it stopped, on this
machine or another that has the cells' folder; so_far.png there is the figure of what is done.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

from label_cells import DISTRACTORS, Cell, Plan, data_of, place_of, policy_of, pretrain, run
from label_figure import draw
from rich.progress import Progress

from report import ROOT, Row

# Also where this Python is Meta-World's.
LAM = ROOT / ".venv" / "bin" / "lam"


def sweep(
    plan: Plan,
    conditions: Iterable[str],
    seeds: Sequence[int],
    cells_of: Callable[[int, str], list[Cell]],
) -> list[Row]:
    """Condition after condition, so that what is done first is of use without the rest."""
    from lam_models.recipes import PRETRAINED

    keep_plan(plan)
    every: list[Cell] = []
    for condition in conditions:
        record(plan, condition)
        for seed in seeds:
            cells = cells_of(seed, condition)
            every += cells
            missing = [cell for cell in cells if not place_of(plan, cell).exists()]
            # What video teaches first: two cells may not make the same thing at once.
            shared = {cell.recipe: cell for cell in missing if cell.recipe in PRETRAINED}
            spread(f"video, {condition}, seed {seed}", pretrain, plan, list(shared.values()))
            spread(f"labels, {condition}, seed {seed}", run, plan, missing)
            draw(rows_of(plan, every), Path(plan.cells) / "so_far.png")
    return rows_of(plan, every)


def rows_of(plan: Plan, cells: list[Cell]) -> list[Row]:
    """As they were saved."""
    return [json.loads(place_of(plan, cell).read_text()) for cell in cells]


def keep_plan(plan: Plan) -> None:
    """Cells of another plan are not mixed with these: exits where there are such."""
    from lam_models.policy.slot_config import Config
    from lam_models.strict_json import to_json

    places = ("folder", "cells", "space")
    same = {name: value for name, value in asdict(plan).items() if name not in places}
    policy = {**to_json(getattr(Config, plan.preset)()), **policy_of(plan)}
    facts = to_json({"plan": same, "policy": policy})
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
        command = [str(LAM), "data", "generate", "--world", plan.world, "--hand", plan.hand]
        command += ["--task", ",".join(plan.tasks), "--difficulty", f"{plan.difficulty:g}"]
        command += ["--size", str(plan.image), "--distractors", names]
        command += ["--episodes", str(episodes), "--seed", str(seed), "--out", str(out)]
        subprocess.run(command, check=True)


def spread(title: str, work: Callable[[Plan, Cell], str], plan: Plan, cells: list[Cell]) -> None:
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
