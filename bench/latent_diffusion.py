"""What a diffusion head costs and what it buys: the read-outs of a policy beside one another.

A task with one, two or four right answers to an observation (latent_task.py) trains a diffusion
read-out, a student of it that samples in one step, and L1 regression. Each is asked about
observations it has not seen; its chunks are compared with as many right ones:

energy: energy distance between the two sets, the networks' units a number; `floor` is that of
    another draw of right ones.
right: share of chunks no farther from the nearest right one than right ones are from one another
    (in 99 of 100 cases).
ways: of the chunks, how unlike their shares of the ways are to the true ones (total variation).

All three are means over observations; `_several` over those with more than one way alone.
Milliseconds are processor time for one chunk on one thread without a compiler, with this task's
small networks and with those of the default sizes (Diffusion Policy's), untrained.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import torch
from latent_task import CONDITION, Drawn, Task
from rich.progress import track
from torch import Generator, Tensor

from lam_models.policy.diffusion import Diffusion
from lam_models.policy.distil import distil_loss, student_of
from lam_models.policy.readouts import ReadOut, sample
from lam_models.policy.regression import Regression
from report import Benchmark, Goal, Row, main

matplotlib.use("Agg")

SEEDS = (0, 1, 2)
TEACHER_STEPS = 5
SMALL = {"condition_width": CONDITION, "width": 64, "depth": 2, "heads": 4}
SAMPLERS = {"diffusion, 50 steps": 50, "diffusion, 10 steps": 10, "diffusion, 5 steps": 5}
SAMPLERS |= {"diffusion, 2 steps": 2, "diffusion, 1 step": 1}
TICKS_MS = (10, 20, 50, 100, 200, 500, 1000)
STUDENT, REGRESSION, FLOOR = "student, 1 step", "L1 regression", "right ones"


@dataclass(frozen=True)
class Size:
    """Of a run. chunks: of the training set. answers: to each of the test observations."""

    chunks: int = 16384
    batch: int = 64
    steps: int = 1000
    student_steps: int = 350
    regression_steps: int = 350
    tests: int = 32
    answers: int = 48
    timings: int = 30


QUICK = Size(1024, 32, 60, 20, 40, 6, 32, 3)


def measure(quick: bool) -> list[Row]:
    torch.set_num_threads(1)
    size, task = (QUICK if quick else Size()), Task()
    rows = []
    for seed in track(SEEDS[:1] if quick else SEEDS, "seeds"):
        rows += measured(task, size, seed)
    large = costs(size, untrained({"condition_width": CONDITION}))
    return [{**row, "ms_large": large.get(str(row["read_out"]), 0.0)} for row in rows]


def measured(task: Task, size: Size, seed: int) -> list[Row]:
    """One seed: training of all three, and their rows."""
    torch.manual_seed(seed)
    drawn = task.draw(task.observations(size.chunks, seed), seed)
    found = untrained(SMALL)
    diffusion, regression = found["diffusion, 10 steps"][0], found[REGRESSION][0]
    for read_out in (diffusion, regression):
        deltas = drawn.chunks[..., :6].flatten(0, 1)
        read_out.units.standardise(deltas.mean(0), deltas.std(0))
    chance = Generator().manual_seed(seed)

    def batch() -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(drawn.chunks), (size.batch,), generator=chance)
        return drawn.condition[rows], drawn.chunks[rows]

    train(diffusion, lambda: diffusion.loss(*batch(), chance)[0], size.steps)
    train(regression, lambda: regression.loss(*batch())[0], size.regression_steps)
    student = student_of(diffusion)
    train(
        student,
        lambda: distil_loss(student, diffusion, batch()[0], TEACHER_STEPS, chance)[0],
        size.student_steps,
    )
    found[STUDENT] = (student, 1)
    test = Test(task, size, diffusion.units.enter)
    ms = costs(size, found)
    shared: Row = {"seed": seed, "latents": "shipped space" if task.trained else "random encoder"}
    rows: list[Row] = [{"read_out": FLOOR, **shared, **test.floor(), "ms_small": 0.0}]
    for name, (read_out, steps) in found.items():
        figures = test.judged(lambda c, r=read_out, s=steps: sample(r, c, s, test.chance))
        rows.append({"read_out": name, **shared, **figures, "ms_small": ms[name]})
    return rows


def untrained(sizes: dict[str, int]) -> dict[str, tuple[Any, int]]:
    """Every row's read-out and number of steps; the diffusion is one for all its rows."""
    diffusion = Diffusion(replace(Diffusion.Config(), **sizes))
    regression = Regression(replace(Regression.Config(), **sizes))
    found: dict[str, tuple[Any, int]] = {name: (diffusion, n) for name, n in SAMPLERS.items()}
    return found | {STUDENT: (diffusion, 1), REGRESSION: (regression, 1)}


def train(read_out: Any, loss: Callable[[], Tensor], steps: int) -> None:
    rate = 2e-3
    optimiser = torch.optim.AdamW(read_out.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, rate, total_steps=steps, pct_start=0.1
    )
    for _ in range(steps):
        optimiser.zero_grad()
        loss().backward()
        torch.nn.utils.clip_grad_norm_(read_out.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    read_out.eval()


class Test:
    """Observations that were not trained on, and right answers to each."""

    def __init__(self, task: Task, size: Size, units: Callable[[Tensor], Tensor]) -> None:
        self.units, self.chance = units, Generator().manual_seed(7)
        observations = task.observations(size.tests, seed=1000)
        self.right, self.others = (
            [
                task.draw(o[None].repeat(size.answers, 0), 2000 * part + i)
                for i, o in enumerate(observations)
            ]
            for part in (1, 2)
        )

    def judged(self, answer: Callable[[Tensor], Tensor]) -> Row:
        """The figures of what `answer` gives to each observation's rows of conditions."""
        return self._figures([answer(right.condition) for right in self.right])

    def floor(self) -> Row:
        return self._figures([other.chunks for other in self.others])

    def _figures(self, answers: list[Tensor]) -> Row:
        each = [self._of_one(a, r) for a, r in zip(answers, self.right, strict=True)]
        several = [f for f, r in zip(each, self.right, strict=True) if len(r.ways.unique()) > 1]
        names = ("energy", "right", "ways")
        means = dict(zip(names, torch.tensor(each).mean(0).tolist(), strict=True))
        means |= {
            f"{name}_several": value
            for name, value in zip(names, torch.tensor(several).mean(0).tolist(), strict=True)
        }
        return {name: round(value, 4) for name, value in means.items()}

    def _of_one(self, answers: Tensor, right: Drawn) -> tuple[float, float, float]:
        found, true = (self.units(chunks).flatten(1) for chunks in (answers, right.chunks))
        scale = found.shape[1] ** 0.5
        across, within, among = (
            torch.cdist(a, b) / scale for a, b in ((found, true), (found, found), (true, true))
        )
        energy = 2.0 * across.mean() - _mean_of_pairs(within) - _mean_of_pairs(among)
        alone = among + torch.eye(len(true)) * among.max().add(1.0)
        near = across.min(1).values <= alone.min(1).values.quantile(0.99)
        ways = right.ways[across.argmin(1)]
        shares = [torch.bincount(w, minlength=4) / len(w) for w in (ways, right.ways)]
        unlike = 0.5 * (shares[0] - shares[1]).abs().sum()
        return float(energy), float(near.float().mean()), float(unlike)


def _mean_of_pairs(distances: Tensor) -> Tensor:
    """Over pairs of different ones."""
    count = len(distances)
    return distances.sum() / (count * (count - 1))


def costs(size: Size, found: dict[str, tuple[ReadOut, int]]) -> dict[str, float]:
    """Median milliseconds of processor time for one chunk."""
    condition, ms = torch.zeros(1, CONDITION), {}
    for name, (read_out, steps) in found.items():
        sample(read_out, condition, steps)
        taken = []
        for _ in range(size.timings):
            # The thread's own time: what else the machine does at the moment does not count.
            started = time.thread_time()
            sample(read_out, condition, steps)
            taken.append(1e3 * (time.thread_time() - started))
        ms[name] = round(statistics.median(taken), 3)
    return ms


def mean(rows: list[Row], read_out: str, figure: str) -> float:
    held = [float(row[figure]) for row in rows if row["read_out"] == read_out]
    return sum(held) / len(held)


def table(rows: list[Row]) -> list[Row]:
    """Means over seeds."""
    figures = [name for name, value in rows[0].items() if isinstance(value, float)]
    return [
        {"read_out": name, **{figure: mean(rows, name, figure) for figure in figures}}
        for name in dict.fromkeys(str(row["read_out"]) for row in rows)
    ]


def draw(rows: list[Row], path: Path) -> None:
    """Cost against quality where there are several ways; a dot a seed."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained", sharex=True)
    titles = {"energy_several": "energy distance to right chunks", "right_several": "share right"}
    for axis, (key, title) in zip(axes, titles.items(), strict=True):
        for name in dict.fromkeys(str(row["read_out"]) for row in rows):
            if name == FLOOR:
                axis.axhline(mean(rows, name, key), color="gray", linestyle=":", label=name)
                continue
            held = [row for row in rows if row["read_out"] == name]
            at = [float(row["ms_large"]) for row in held]
            axis.plot(at, [float(row[key]) for row in held], "o", label=name)
        axis.set(title=title, xscale="log", xlabel="ms a chunk, default sizes, one CPU thread")
        axis.set_xticks(TICKS_MS, [str(ms) for ms in TICKS_MS])
        axis.minorticks_off()
    axes[0].set_yscale("log")
    axes[1].legend(fontsize=8)
    figure.suptitle("Observations with several right ways")
    figure.savefig(path, dpi=130)


def ratio(figure: str, one: str, other: str) -> Callable[[list[Row]], float]:
    return lambda rows: mean(rows, one, figure) / mean(rows, other, figure)


TEN, FIFTY, SEVERAL = "diffusion, 10 steps", "diffusion, 50 steps", "right_several"
BENCHMARK = Benchmark(
    name="latent_diffusion",
    summary="Read-outs of a policy where several ways are right",
    measure=measure,
    draw=draw,
    goals=[
        Goal(
            "share of right chunks with several ways, 10 steps above L1 regression",
            lambda rows: mean(rows, TEN, SEVERAL) - mean(rows, REGRESSION, SEVERAL),
            at_least=0.4,
        ),
        Goal(
            "energy distance, 10 steps against 50",
            ratio("energy", TEN, FIFTY),
            at_most=1.2,
        ),
        Goal(
            "energy distance with several ways, L1 regression against 10 steps",
            ratio("energy_several", REGRESSION, TEN),
            at_least=5,
        ),
        Goal(
            "energy distance, the student's step against the same of its teacher",
            ratio("energy", STUDENT, "diffusion, 1 step"),
            at_most=0.5,
        ),
        Goal(
            "time, the student's step against 10",
            ratio("ms_large", STUDENT, TEN),
            at_most=0.2,
        ),
    ],
    seeds=SEEDS,
    table=table,
)

if __name__ == "__main__":
    main(BENCHMARK)
