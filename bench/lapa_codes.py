"""Do LAPA's codes stay in use? Its small configuration against the same with a plain VQ.

LAPA replaces unused codes during a first window of the training only; users report that codebooks
collapse after it. Here its small configuration is trained to its end, well past the window, with
three seeds, and beside it the same network whose codes are those of a plain VQ-VAE: moved by
gradient, never revived. `use` is the share of the codes that occur at all in episodes kept for
validation, mean of the four positions, `rows of codes` counts the different rows of four; `ratio`
is the error of the predicted frame over that of the frame before, `gain_dB` what the right latent
adds to a random one's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from os import cpu_count
from pathlib import Path

import matplotlib
import torch

from lam_models.nn.vq import VQ
from lam_models.systems import SYSTEMS
from lam_models.systems.lapa import Config, Lapa
from report import ROOT, Benchmark, Goal, Row, main

matplotlib.use("Agg")

SEEDS = (0, 1, 2)
FOLDER = ROOT / "out" / "lapa_codes"
WINDOW = Config.small().replaced_until


class PlainVqLapa(Lapa):
    """The codebook of VQ-VAE, nothing done for codes that no token chooses."""

    name = "lapa_plain_vq"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.vq = VQ(config.code_dim, config.codebook_size, revive_every=0)


# One file and one line are all that a system takes.
SYSTEMS["lapa_plain_vq"] = "lapa_codes:PlainVqLapa"


@dataclass(frozen=True)
class Job:
    system: str
    seed: int
    steps: int
    folder: Path


def measure(quick: bool) -> list[Row]:
    folder = FOLDER / "quick" if quick else FOLDER
    record(folder / "data", 24 if quick else 400)
    steps = 20 if quick else Config.small().steps
    seeds = SEEDS[:1] if quick else SEEDS
    jobs = [
        Job(system, seed, steps, folder) for system in ("lapa", PlainVqLapa.name) for seed in seeds
    ]
    with ProcessPoolExecutor(cpu_count(), mp_context=get_context("spawn")) as pool:
        return list(pool.map(run, jobs))


def record(data: Path, episodes: int) -> None:
    if data.exists():
        return
    command = [str(Path(sys.executable).parent / "lam"), "data", "generate", "--out", str(data)]
    command += ["--task", "reach,push_to_zone,pick_place", "--size", "64"]
    subprocess.run([*command, "--episodes", str(episodes)], check=True)


def run(job: Job) -> Row:
    """Train one model, or take it where it is there already, and count its codes."""
    from lam_models.stages.fit_lam import FitSettings, fit
    from lam_models.stages.health.examine import examine
    from lam_models.stages.health.sample import sample
    from lam_models.stages.opening import open_system

    torch.set_num_threads(1)
    out = job.folder / f"{job.system}-{job.seed}"
    data = job.folder / "data"
    if not out.exists():
        resume = out.with_name(out.name + ".training").exists()
        fit(
            FitSettings(
                job.system, data, out, steps=job.steps, seed=job.seed, camera="front", resume=resume
            )
        )
    model = open_system(out).model
    train, test, names = sample(data, model.config, camera="front", seed=job.seed)
    found = examine(model, train, test, names=names).flat()
    return {
        "system": job.system,
        "seed": job.seed,
        "steps": job.steps,
        "use": found["codebook.used_share"],
        "perplexity": found["codebook.perplexity"],
        "rows of codes": found["codebook.sequences"],
        "ratio": found["prediction.copy_ratio"],
        "gain_dB": found["prediction.delta_psnr_db"],
        "curve": json.dumps(usage_curve(out)),
    }


def usage_curve(folder: Path) -> list[tuple[int, float]]:
    """Perplexity of the codes in each logged stretch of the training, by step."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], round(line["perplexity"], 3)) for line in lines if "perplexity" in line]


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
    for row in rows:
        steps, perplexity = zip(*json.loads(str(row["curve"])), strict=True)
        plain = row["system"] == PlainVqLapa.name
        axis.plot(
            steps, perplexity, color="tab:red" if plain else "tab:blue", alpha=0.7, linewidth=1,
            label=("plain VQ" if plain else "LAPA") if row["seed"] == 0 else None,
        )  # fmt: skip
    axis.axvline(WINDOW, color="gray", linestyle=":", label="codes no longer replaced")
    axis.set(xlabel="training step", ylabel="perplexity of the codes (of 8)", ylim=(0, 8.2))
    axis.legend()
    figure.savefig(path, dpi=150)


def of(system: str, key: str) -> Callable[[list[Row]], list[float]]:
    """The values of a system's seeds."""
    return lambda rows: [float(row[key]) for row in rows if row["system"] == system]


def table(rows: list[Row]) -> list[Row]:
    """Without the curves, which the picture shows."""
    return [{key: value for key, value in row.items() if key != "curve"} for row in rows]


USE, PERPLEXITY, RATIO = (of("lapa", key) for key in ("use", "perplexity", "ratio"))
PLAIN_USE = of(PlainVqLapa.name, "use")

BENCHMARK = Benchmark(
    name="lapa_codes",
    summary="LAPA's codes in use at the end of the training, and a plain VQ's",
    measure=measure,
    draw=draw,
    goals=[
        Goal("LAPA, least share of codes used", lambda r: min(USE(r)), at_least=0.9),
        Goal("LAPA, least perplexity (of 8)", lambda r: min(PERPLEXITY(r)), at_least=4),
        Goal("LAPA, greatest error against copying", lambda r: max(RATIO(r)), at_most=0.8),
        Goal("plain VQ, greatest share of codes used", lambda r: max(PLAIN_USE(r)), at_most=0.5),
    ],
    seeds=SEEDS,
    table=table,
)

if __name__ == "__main__":
    main(BENCHMARK)
