"""The latent-action systems side by side: what their latents hold, with and without distractors.

Demonstrations of three tasks are recorded twice, once as they are and once with a moving
background, other moving objects and a shaking camera; then every system is trained on the videos of
each, with three seeds, and examined on episodes it has not seen: the health report of each run is
one row. Beside the systems stand inverse dynamics learnt from the few labels alone (idm), and, in
every row, the same probe of the action on the raw frames. `ambiguous` is the error on the third of
the clips whose action the two raw frames tell least of.

All train as their `small` configurations say but for the number of steps: one or two minutes of
one core each (univla: each of its two stages), about the same time. Finished runs are kept
in out/zoo, so that an interrupted benchmark goes on where it stopped. The claims that follow from
the papers are judged in zoo_claims.py: "does not hold" is a result like any other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib
from rich.progress import Progress
from zoo_claims import ACTION, UNQUANTISED, verdicts

from report import ROOT, Benchmark, Goal, Row, main

matplotlib.use("Agg")

FOLDER = ROOT / "out" / "zoo"
SEEDS = (0, 1, 2)
LABELS = 0.025
CONDITIONS = {"clean": "none", "distracted": "background,objects,camera"}


@dataclass(frozen=True)
class Entry:
    """One row of the zoo.

    steps: of training, for each of its stages.
    labels: share of the training episodes whose actions may be used.
    after: the stage before it.
    """

    title: str
    system: str
    steps: int
    labels: float | None = None
    after: str | None = None
    changes: dict[str, Any] = field(default_factory=dict)


ENTRIES = (
    Entry("linear", "linear", 2000),
    Entry("lapo", "lapo", 1000),
    Entry("lapa", "lapa", 1000),
    Entry("univla", "univla", 1000, after="univla_stage1"),
    Entry("igor", "igor", 2000),
    Entry("farsighted", "farsighted", 2000),
    Entry("farsighted, 2 frames", "farsighted", 2000, changes={"frames": 2}),
    Entry("laom", "laom", 1500),
    Entry("laom + labels", "laom", 1500, labels=LABELS),
    Entry("idm", "idm", 1500, labels=LABELS),
)


@dataclass(frozen=True)
class Job:
    entry: Entry
    condition: str
    seed: int
    quick: bool
    folder: Path

    @property
    def place(self) -> Path:
        return self.folder / self.condition / f"{self.entry.title.replace(' ', '_')}-{self.seed}"


def measure(quick: bool) -> list[Row]:
    folder = FOLDER / "quick" if quick else FOLDER
    record(folder / "data", quick)
    jobs = [
        Job(entry, condition, seed, quick, folder)
        for seed in (SEEDS[:1] if quick else SEEDS)
        for condition in CONDITIONS
        for entry in (ENTRIES[:3] if quick else ENTRIES)
    ]
    return [row_of(job) for job in run_all(jobs)]


def record(folder: Path, quick: bool) -> None:
    """Both conditions, and the same tasks with another hand."""
    for name, hand, distractors, episodes in (
        ("clean", "parallel_gripper", "none", 400),
        ("distracted", "parallel_gripper", CONDITIONS["distracted"], 400),
        ("four_finger", "four_finger", "none", 120),
    ):
        if (folder / name).exists():
            continue
        command = [str(Path(sys.executable).parent / "lam"), "data", "generate"]
        command += ["--task", "reach,push_to_zone,pick_place", "--size", "64", "--hand", hand]
        command += ["--episodes", str(24 if quick else episodes), "--distractors", distractors]
        subprocess.run([*command, "--out", str(folder / name)], check=True)


def run_all(jobs: list[Job]) -> list[Job]:
    """Train and examine what is not there yet, one process a core."""
    missing = [job for job in jobs if not (job.place / "row.json").exists()]
    with Progress() as progress:
        task = progress.add_task("zoo", total=len(jobs), completed=len(jobs) - len(missing))
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
            for done in as_completed([pool.submit(run, job) for job in missing]):
                progress.console.print(done.result())
                progress.advance(task)
    return jobs


def row_of(job: Job) -> Row:
    return json.loads((job.place / "row.json").read_text())


def run(job: Job) -> str:
    """Train one system and examine it. Stages that are done already are not done again."""
    import torch

    from lam_models.stages.fit_lam import fit

    torch.set_num_threads(1)
    job.place.mkdir(parents=True, exist_ok=True)
    after = None
    if job.entry.after is not None:
        after = job.place / "before"
        if not after.exists():
            fit(settings(job, job.entry.after, after, None))
    model = job.place / "model"
    if not model.exists():
        fit(settings(job, job.entry.system, model, after))
    row = examined(job, model)
    (job.place / "row.json").write_text(json.dumps(row, indent=1) + "\n")
    return f"{job.entry.title}, {job.condition}, seed {job.seed}: {row['training_s']:.0f} s"


def settings(job: Job, system: str, out: Path, after: Path | None) -> Any:
    """How a system is trained here: its `small` preset, for the steps of its entry."""
    from lam_models.stages.fit_lam import FitSettings

    return FitSettings(
        system=system,
        dataset=job.folder / "data" / job.condition,
        out=out,
        steps=20 if job.quick else job.entry.steps,
        labels=job.entry.labels,
        after=after,
        seed=job.seed,
        camera="front",
        changes={} if after else job.entry.changes,
        resume=out.with_name(out.name + ".training").exists(),
    )


def examined(job: Job, model: Path) -> Row:
    """One row: who, and every value of the health report."""
    from lam_models.stages.health.examine import examine
    from lam_models.stages.opening import open_system

    opened = open_system(model)
    config, data = opened.model.config, job.folder / "data"
    train, test, names = draw_clips(data / job.condition, config, job.seed)
    *other, other_names = draw_clips(data / "four_finger", config, job.seed)
    report = examine(
        opened.model, train, test, (other[0], other[1]), names=names, other_names=other_names
    )
    values = report.flat() | {"training_s": opened.checkpoint.origin.metrics["training_s"]}
    return {
        "system": job.entry.title,
        "condition": job.condition,
        "seed": job.seed,
        **{name: round(value, 5) for name, value in values.items()},
    }


SHOWN = {
    ACTION: "action error, linear probe",
    UNQUANTISED: "the same before quantising",
    "leak.distractors": "distractors' movement, error",
    "leak.state": "robot state, error",
    "prediction.copy_ratio": "prediction / copying",
    "transfer.migration": "migration / copying",
}


def raw_frames(rows: list[Row], condition: str) -> float:
    """The error of reading the action from raw frames of 64 pixels, mean over seeds."""
    held = [
        float(row["probe.linear_frames.translation"])
        for row in rows
        if row["condition"] == condition and row["system"] == "lapa"
    ]
    return sum(held) / len(held)


def draw(rows: list[Row], path: Path) -> None:
    """Mean over seeds, from least to greatest, by system and condition."""
    import matplotlib.pyplot as plt

    titles = list(dict.fromkeys(str(row["system"]) for row in rows))
    figure, axes = plt.subplots(2, 3, figsize=(13, 8), layout="constrained", sharey=True)
    for axis, (key, title) in zip(axes.flat, SHOWN.items(), strict=True):
        for offset, (condition, colour) in enumerate(
            zip(CONDITIONS, ("tab:blue", "tab:orange"), strict=True)
        ):
            for place, system in enumerate(titles):
                held = [
                    float(r[key])
                    for r in rows
                    if r["system"] == system and r["condition"] == condition and key in r
                ]
                if held:
                    at, mean = place + 0.36 * offset, sum(held) / len(held)
                    axis.barh(at, mean, 0.34, color=colour)
                    axis.plot([min(held), max(held)], [at, at], color="black", linewidth=1)
        axis.axvline(1, color="gray", linestyle=":", linewidth=1)
        if key == ACTION:
            for condition, colour in zip(CONDITIONS, ("tab:blue", "tab:orange"), strict=True):
                axis.axvline(raw_frames(rows, condition), color=colour, linestyle="--")
        axis.set(title=title, xlim=(0, 2))
        axis.set_yticks([i + 0.18 for i in range(len(titles))], titles)
    axes[0, 0].invert_yaxis()
    figure.suptitle(
        "blue: clean, orange: distracted; lines: least to greatest of the seeds; "
        "dashed: what the raw frames tell"
    )
    figure.savefig(path, dpi=130)


def draw_clips(data: Path, config: Any, seed: int) -> Any:
    """Clips and names; those to report on are of the episodes kept for validation."""
    from lam_models.stages.health.sample import sample

    return sample(data, config, camera="front", clips=1500, seed=seed)


def summary(rows: list[Row]) -> list[Row]:
    """The table a reader wants first: means over seeds."""
    table: list[Row] = []
    for system in dict.fromkeys(str(row["system"]) for row in rows):
        for condition in CONDITIONS:
            held = [r for r in rows if r["system"] == system and r["condition"] == condition]
            line: Row = {"system": system, "condition": condition}
            for key, title in SHOWN.items():
                values = [float(r[key]) for r in held if key in r]
                line[title] = sum(values) / len(values) if values else float("nan")
            table.append(line)
    for condition in CONDITIONS:
        line = {"system": "raw frames", "condition": condition}
        table.append(line | {SHOWN[ACTION]: raw_frames(rows, condition)})
    return table


def complete(rows: list[Row]) -> float:
    return len(rows) / (len(ENTRIES) * len(CONDITIONS) * len(SEEDS))


BENCHMARK = Benchmark(
    name="zoo",
    summary="Latent-action systems side by side",
    measure=measure,
    draw=draw,
    goals=[Goal("share of systems, conditions and seeds that were measured", complete, at_least=1)],
    seeds=SEEDS,
    table=summary,
    findings=verdicts,
)

if __name__ == "__main__":
    main(BENCHMARK)
