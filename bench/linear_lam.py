"""The linear latent-action model against its authors' tables: trained, in closed form, published.

Each case is one world and one model. `trained` is Adam as in the paper (mean over seeds, `spread`
from the lowest to the highest); `formula` is the closed form's optimum in the same worlds. Both are
probed on the population itself (the world's sigma points), so only training is random. Training
takes 5 000 to 20 000 steps where the authors take 10 000 to 40 000, for κ = 0.01 their 40 000. What
it lacks to its end is seen against the formula; where there is none, a free latent read raw still
drifts upwards (0.968 after 5 000 steps, 0.979 after 20 000, seed 0).

`authors` are the result files of github.com/zhangchuheng123/LinearLAM at f44f3a6: 4_1_False,
4_2_False_no_noise_new, 4_3_False_long_train_predB (mean of the evaluations from step 20 000 on, one
of which scatters by 0.04), 5_learnATrue_CDzeroFalse_{psdactionTrue, psdactionTrue_morechi_evalrand,
psdlatentTrue}, 6_learnATrue_CDzeroFalse_psdactionFalse (noise error put on its variance, as in the
others) and 7_learnATrue_CDzeroFalse_psdlatentFalse_v2 (one evaluation of 128 samples, hence values
above 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import matplotlib
import numpy as np
import torch

from lam_models.stages.linear_content import measure as latent_content
from lam_models.systems.linear import Config, Convention, LinearLam, closed_form, descend
from lam_models.systems.linear_world import LinearWorld
from report import Benchmark, Goal, Row, main

matplotlib.use("Agg")

SEEDS = (0, 1, 2)
TIED = Config(tied=True, augmentation_std=0.0)
FREE = Config(augmentation_std=0.0)
OTHERS = LinearWorld(others_dim=8)

# Learning objective (LLO, at best 2) in the authors' result files.
NO_NOISE = (1.112, 1.247, 1.376, 1.501, 1.624, 1.749, 1.875, 2.0, 2.001, 2.0, 2.0, 2.001)
IID_NOISE = {0.1: 2.003, 0.3: 1.999, 0.5: 1.969, 0.7: 1.905, 1.0: 1.766, 1.5: 1.530}
OTHER_AGENTS = {
    0.5: {2: 1.203, 4: 1.460, 8: 1.957, 12: 1.459, 16: 0.999},
    2.0: {2: 0.783, 4: 0.561, 8: 0.059, 12: 0.523, 16: 1.003},
}
# So weak that the authors' 40 000 steps end long before the optimum.
SLOW_KAPPA = 0.01
POLICY = {(0.5, 2): 1.055, (0.9, 2): 0.616, (0.5, 8): 1.942}
AUGMENTATION = {
    0.0: {0.0: 0.994, 0.01: 1.631, 0.1: 2.000, 0.5: 1.999},
    1.0: {0.0: 0.992, 0.1: 1.832, 0.5: 1.830},
}
LABELS = {
    0.5: {0.0: 2.017, 0.01: 2.055},
    1.0: {0.0: 0.936, 0.01: 1.961},
    2.0: {0.0: 0.068, 0.01: 2.022, 0.05: 2.038, 0.1: 1.933},
}


@dataclass(frozen=True)
class Case:
    """One line of the table. The probes are fitted in the world the model was trained in.

    steps: of training; 0 for the formula only.
    has_formula: not where the optimum leaves open what else the latent holds.
    ridge: of the probes. The default resolves far more than the authors' probe (5000 steps of
        Adam), so that from the predicted change of a free model it reads traces they cannot see.
        "pseudo latent" therefore takes 1e-2, chosen to resolve about as much as theirs: that row
        depends on it (1.39 at the default, 1.97 at 1e-3, 1.99 at 1e-2; 10 000 steps, seed 0).
    """

    experiment: str
    setting: str
    world: LinearWorld
    config: Config
    authors: float
    steps: int = 0
    convention: Convention = "tied"
    label_share: float = 0.0
    reported_on: Literal["the same", "no noise", "random actions"] = "the same"
    has_formula: bool = True
    ridge: float = 1e-6


def cases() -> Iterator[Case]:
    for d_z, authors in enumerate(NO_NOISE, start=1):
        steps = 5_000 if d_z in (1, 2, 4, 8, 12) else 0
        config = replace(TIED, latent_dim=d_z)
        yield Case("no noise", "", LinearWorld(), config, authors, steps)
    for sigma, authors in IID_NOISE.items():
        world, steps = LinearWorld(noise_std=sigma), 5_000 if sigma in (0.5, 1.0, 1.5) else 0
        setting = f"σ {sigma:g}"
        yield Case("iid noise", setting, world, TIED, authors, steps, reported_on="no noise")
    for sigma, row in OTHER_AGENTS.items():
        for d_z, authors in row.items():
            world, config = replace(OTHERS, others_std=sigma), replace(TIED, latent_dim=d_z)
            steps = 5_000 if d_z in (2, 8, 16) else 0
            yield Case("other agents", f"σ {sigma:g}", world, config, authors, steps)
    yield from free_latents()
    yield from remedies()


def free_latents() -> Iterator[Case]:
    """Without a remedy: what is read depends on what the probe is given."""
    raw = Case("convention", "raw", LinearWorld(), FREE, 0.994, 10_000, "raw", has_formula=False)
    yield raw
    yield replace(raw, setting="pseudo action", authors=1.941, convention="pseudo_action")
    yield replace(raw, setting="pseudo latent", authors=2.0, convention="pseudo_latent", ridge=1e-2)
    for (chi, d_z), authors in POLICY.items():
        yield Case(
            "policy",
            f"χ {chi:g}",
            LinearWorld(policy_share=chi),
            replace(FREE, latent_dim=d_z),
            authors,
            steps=20_000,
            convention="pseudo_action",
            reported_on="random actions",
            has_formula=False,
        )


def remedies() -> Iterator[Case]:
    for sigma, row in AUGMENTATION.items():
        # The authors draw this noise uniformly from [0, σ).
        world = LinearWorld(noise_std=sigma / 12**0.5, noise_mean=sigma / 2)
        for kappa, authors in row.items():
            free = kappa == 0
            yield Case(
                "augmentation",
                f"σ {sigma:g} κ {kappa:g}",
                world,
                Config(augmentation_std=kappa),
                authors,
                steps=40_000 if kappa == SLOW_KAPPA else 10_000,
                convention="raw" if free else "tied",
                has_formula=not free,
            )
    for sigma, row in LABELS.items():
        world = replace(OTHERS, others_std=sigma)
        for share, authors in row.items():
            setting = f"σ {sigma:g} labels {100 * share:g} %"
            yield Case("labels", setting, world, Config(), authors, 10_000, label_share=share)


def objective(case: Case, model: LinearLam, world: LinearWorld) -> float:
    fitted_on = reported_on = world.sigma_points()
    if case.reported_on == "no noise":
        reported_on = fitted_on.undisturbed()
    elif case.reported_on == "random actions":
        reported_on = replace(world, policy_share=0.0).sigma_points()
    return latent_content(model, fitted_on, reported_on, case.convention, case.ridge).objective


def formula(case: Case, seed: int) -> float:
    """Of the expected loss: a batch without any label has no label term."""
    world = replace(case.world, seed=seed)
    some_label = 1 - (1 - case.label_share) ** case.config.batch_size
    weight = case.config.action_weight * some_label
    return objective(case, closed_form(case.config, world.sigma_points().clips(), weight), world)


def train(case: Case, seed: int) -> float:
    torch.manual_seed(seed)
    world = replace(case.world, seed=seed)
    batches = world.batches(case.config.batch_size, case.steps, seed + 100, case.label_share)
    return objective(case, descend(LinearLam(case.config), batches), world)


def row_of(case: Case, trained: list[float], optima: list[float]) -> Row:
    row: Row = {
        "experiment": case.experiment,
        "setting": case.setting,
        "d_z": case.config.latent_dim,
    }
    if trained:
        row |= {"trained": float(np.mean(trained)), "spread": max(trained) - min(trained)}
    if optima:
        row["formula"] = float(np.mean(optima))
    return row | {"authors": case.authors}


def measure(quick: bool) -> list[Row]:
    table = list(cases())
    seeds = SEEDS[:1] if quick else SEEDS
    if quick:
        table = [c for c in table if c.config.latent_dim == 8]
        table = [replace(c, steps=min(c.steps, 2_000)) for c in table]
    with ProcessPoolExecutor(2, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        trained = [[pool.submit(train, c, s) for s in seeds if c.steps] for c in table]
        optima = [[pool.submit(formula, c, s) for s in SEEDS if c.has_formula] for c in table]
        return [
            row_of(case, [f.result() for f in one], [f.result() for f in other])
            for case, one, other in zip(table, trained, optima, strict=True)
        ]


def chosen(rows: list[Row], experiment: str, setting: str | None, d_z: range) -> list[Row]:
    return [
        r
        for r in rows
        if r["experiment"] == experiment and setting in (None, r["setting"]) and r["d_z"] in d_z
    ]


def near(
    most: float,
    one: str,
    other: str,
    experiment: str,
    setting: str | None = None,
    d_z: range = range(1, 17),
) -> Goal:
    """Two columns within `most` in an experiment (one setting of it, or all). 2 is the most there
    can be: what exceeds it is the scatter of an evaluation."""

    def farthest(rows: list[Row]) -> float:
        both = [r for r in chosen(rows, experiment, setting, d_z) if {one, other} <= r.keys()]
        gaps = [abs(min(2.0, float(r[one])) - min(2.0, float(r[other]))) for r in both]
        return max(gaps, default=float("nan"))

    name = " ".join(filter(None, (experiment, setting, "" if d_z.start == 1 else "d_z > 1")))
    return Goal(f"{name}: |{one} - {other}|", farthest, at_most=most)


def at_eight(experiment: str, setting: str, least: float, most: float = 2.0) -> Goal:
    """The trained figure at d_z = 8."""

    def figure(rows: list[Row]) -> float:
        found = chosen(rows, experiment, setting, range(8, 9))
        return float(found[0]["trained"]) if found else float("nan")

    return Goal(f"{experiment} {setting}, trained", figure, at_least=least, at_most=most)


GOALS = [
    near(0.01, "formula", "authors", "no noise", d_z=range(2, 17)),
    near(0.03, "trained", "authors", "no noise"),
    near(0.01, "formula", "authors", "iid noise"),
    near(0.03, "trained", "authors", "iid noise"),
    near(0.03, "formula", "authors", "other agents"),
    near(0.03, "trained", "formula", "other agents"),
    at_eight("other agents", "σ 0.5", 1.93, 1.99),
    at_eight("other agents", "σ 2", 0.02, 0.12),
    near(0.03, "trained", "authors", "convention"),
    near(0.03, "trained", "authors", "policy"),
    near(0.03, "trained", "authors", "augmentation", "σ 0 κ 0"),
    near(0.03, "trained", "authors", "augmentation", "σ 0 κ 0.01"),
    near(0.03, "trained", "authors", "augmentation", "σ 0 κ 0.1"),
    near(0.03, "trained", "authors", "augmentation", "σ 0 κ 0.5"),
    near(0.03, "trained", "formula", "augmentation", "σ 1 κ 0.1"),
    at_eight("labels", "σ 2 labels 1 %", 1.95),
]


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 4, figsize=(15, 3.8), sharey=True)
    panels = {
        "no noise": ("latent dimensions", lambda r: "", lambda r: r["d_z"]),
        "iid noise": ("σ of the noise", lambda r: "", lambda r: float(str(r["setting"])[2:])),
        "other agents": ("latent dimensions", lambda r: r["setting"], lambda r: r["d_z"]),
        "labels": (
            "labels [%]",
            lambda r: str(r["setting"]).split(" labels")[0],
            lambda r: float(str(r["setting"]).split()[-2]),
        ),
    }
    for axis, (experiment, (label, group, position)) in zip(axes, panels.items(), strict=True):
        panel = [r for r in rows if r["experiment"] == experiment]
        for index, name in enumerate(dict.fromkeys(group(r) for r in panel)):
            plot_series(axis, [r for r in panel if group(r) == name], position, name, f"C{index}")
        axis.set(title=experiment, xlabel=label, ylim=(-0.1, 2.2))
        axis.legend(fontsize=7)
    axes[0].set_ylabel("learning objective (at best 2)")
    figure.suptitle("Linear latent-action model: formula (line), trained (dot), authors (cross)")
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def plot_series(axis, rows: list[Row], position, name: str, colour: str) -> None:
    for column, style in (("formula", "-"), ("trained", "o"), ("authors", "x")):
        drawn = [r for r in rows if column in r]
        label = " ".join(filter(None, (name, column)))
        axis.plot(
            [position(r) for r in drawn],
            [r[column] for r in drawn],
            style,
            color=colour,
            label=label,
            fillstyle="none",
        )


if __name__ == "__main__":
    main(Benchmark("linear_lam", "Linear latent-action model", measure, draw, GOALS, SEEDS))
