"""Carrying poses from hand to hand: one latent space against inverse kinematics and others.

Forty people's natural poses train; ten others' test, whom training has never seen. Every method of
hand_methods.py carries them between the human hand and every hand that comes with lam, in every
direction; hand_metrics.py says what is measured, hand_claims.py what it is held to and what follows
of it. What a hand should do is what retargeting the person gave it.

Spaces train as lad.py's recipes say, four to five minutes of one core each. Pairs, spaces and
figures are kept in out/bench/hands by seed and method: an interrupted run goes on where it stopped,
and after a change of the recipes or of retargeting the folder has to go. LAM_BENCH_WORKERS says how
many train at once, one core each (2).
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from hand_claims import GOALS, findings, table, whole
from hand_figure import draw
from rich.progress import Progress

from report import ROOT, Benchmark, Row, main

FOLDER = ROOT / "out" / "bench" / "hands"
SEEDS = (0, 1, 2)
QUICK_METHODS = ("cross", "lad", "IK", "named slots", "nearest neighbour", "DexLatent")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """One method of one seed."""

    method: str
    seed: int
    quick: bool
    folder: Path

    @property
    def shared(self) -> Path:
        return self.folder / f"seed{self.seed}"

    @property
    def place(self) -> Path:
        return self.shared / self.method.replace(" ", "_")


def measure(quick: bool) -> list[Row]:
    from hand_methods import METHODS

    folder, seeds = (FOLDER / "quick", SEEDS[:1]) if quick else (FOLDER, SEEDS)
    if quick:
        shutil.rmtree(folder, ignore_errors=True)
    methods = QUICK_METHODS if quick else tuple(METHODS)
    jobs = [Job(method, seed, quick, folder) for method in methods for seed in seeds]
    # Read when a process starts: one thread each, in training and in what is timed.
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    workers = int(os.environ.get("LAM_BENCH_WORKERS", min(2, os.cpu_count() or 1)))
    firsts = {job.seed: job for job in jobs}.values()
    run_all("people", make_people, list(firsts), workers)
    missing = [job for job in jobs if not (job.place / "rows.json").exists()]
    run_all("methods", run, missing, workers)
    # Last and alone, so that nothing else runs while it is timed.
    late = [job for job in jobs if job.seed == seeds[0]]
    untimed = [job for job in late if not (job.place / "timing.json").exists()]
    run_all("timing", time_decoding, untimed, 1)
    return [row_of(job) for job in jobs] + averaged(jobs)


def run_all(what: str, work: Callable[[Job], str], jobs: list[Job], workers: int) -> None:
    """Each job in a process that has its own threads set."""
    if not jobs:
        return
    with (
        Progress() as progress,
        ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool,
    ):
        task = progress.add_task(what, total=len(jobs))
        for done in as_completed([pool.submit(work, job) for job in jobs]):
            progress.console.print(done.result())
            progress.advance(task)


def make_people(job: Job) -> str:
    from hand_people import prepare

    prepare(job.shared / "people", job.seed, job.quick)
    return f"people of seed {job.seed}"


def made(job: Job) -> tuple[Any, Any]:
    """People and method, the method opened from its folder if it is there."""
    import torch
    from hand_methods import METHODS, Making
    from hand_people import open_people

    torch.set_num_threads(1)
    people = open_people(job.shared / "people", job.quick)
    return people, METHODS[job.method](Making(people, job.place, job.seed, job.quick))


def run(job: Job) -> str:
    """Make a method and measure it."""
    from hand_methods import Coded
    from hand_metrics import latents_row, pair_row

    job.place.mkdir(parents=True, exist_ok=True)
    people, method = made(job)
    pairs = [pair_row(people, method, s, t) for s in people.names for t in people.names]
    row = latents_row(people, method, job.seed) if isinstance(method, Coded) else {}
    content = {"pairs": pairs, "latents": row, "grippers": people.grippers}
    write(job.place / "rows.json", content)
    return f"{job.method}, seed {job.seed}"


def time_decoding(job: Job) -> str:
    from hand_metrics import timing_row

    people, method = made(job)
    write(job.place / "timing.json", timing_row(people, method, 1000 if job.quick else 5000))
    return f"timed {job.method}"


def write(path: Path, content: object) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.replace(path)


def row_of(job: Job) -> Row:
    """The method's one row of this seed: means over pairs, and what is of no pair."""
    found, timing = json.loads((job.place / "rows.json").read_text()), job.place / "timing.json"
    row: Row = {"kind": "method", "method": job.method, "seed": job.seed}
    row |= whole(found["pairs"], tuple(found["grippers"])) | found["latents"]
    if timing.exists():
        row |= json.loads(timing.read_text())
    return _rounded(row)


def averaged(jobs: list[Job]) -> list[Row]:
    """Each pair's means over seeds."""
    rows: list[Row] = []
    for method in dict.fromkeys(job.method for job in jobs):
        mine = [job for job in jobs if job.method == method]
        seeds = [json.loads((job.place / "rows.json").read_text()) for job in mine]
        for same in zip(*(found["pairs"] for found in seeds), strict=True):
            row: Row = {"kind": "pair", "method": method, **same[0]}
            row["gripper"] = bool({row["source"], row["target"]} & set(seeds[0]["grippers"]))
            for key in (key for key, value in same[0].items() if isinstance(value, float)):
                row[key] = statistics.mean(pair[key] for pair in same if key in pair)
            rows.append(_rounded(row))
    return rows


def _rounded(row: Row) -> Row:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}


BENCHMARK = Benchmark(
    name="hands",
    summary="Poses from hand to hand",
    measure=measure,
    draw=draw,
    goals=GOALS,
    seeds=SEEDS,
    table=table,
    findings=findings,
)

if __name__ == "__main__":
    main(BENCHMARK)
