"""The figure of label_efficiency.py: success and action error against labelled episodes."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import matplotlib

from lam_sim.rollouts.wilson import wilson_interval
from report import Row

matplotlib.use("Agg")

LOOKS = {
    "lapa": ("LAPA", "tab:blue"),
    "univla": ("UniVLA", "tab:cyan"),
    "laom": ("LAOM", "tab:purple"),
    "scratch": ("scratch", "black"),
    "cloner": ("plain cloner", "gray"),
    "vpt": ("VPT", "tab:orange"),
    "action_vla": ("ActionVLA (all actions known)", "tab:green"),
}
# Curves lie a little apart, so that their intervals can be told.
_APART = 0.015


def draw(rows: list[Row], path: Path) -> None:
    """A column a condition; the interval of success is Wilson's, 95 %, over seeds and episodes
    together; that of the error is from least to greatest of the seeds."""
    import matplotlib.pyplot as plt

    conditions = list(dict.fromkeys(str(row["condition"]) for row in rows))
    figure, axes = plt.subplots(
        2, len(conditions), figsize=(6 * len(conditions), 8), squeeze=False, layout="constrained"
    )
    labels = sorted({int(row["labels"]) for row in rows} - {0})
    for column, condition in enumerate(conditions):
        for recipe in dict.fromkeys(str(row["recipe"]) for row in rows):
            held = [r for r in rows if r["recipe"] == recipe and r["condition"] == condition]
            _line(axes[0, column], recipe, held, labels, _success)
            _line(axes[1, column], recipe, held, labels, _error)
        for axis, what in ((axes[0, column], "success"), (axes[1, column], "action NMSE")):
            axis.set(xscale="log", xlabel="labelled episodes", ylabel=what, title=condition)
            axis.set_xticks(labels, [str(count) for count in labels])
            axis.minorticks_off()
        axes[0, column].set_ylim(0.0, 1.0)
    axes[0, 0].legend(fontsize=8)
    figure.suptitle("bars: 95 % (Wilson) of success; least to greatest of the seeds of the error")
    figure.savefig(path, dpi=130)


def _success(rows: list[Row]) -> tuple[float, float, float]:
    successes = sum(int(row["successes"]) for row in rows)
    trials = sum(int(row["trials"]) for row in rows)
    return successes / trials, *wilson_interval(successes, trials)


def _error(rows: list[Row]) -> tuple[float, float, float]:
    held = [float(row["nmse"]) for row in rows]
    return mean(held), min(held), max(held)


def _line(axis, recipe: str, rows: list[Row], labels: list[int], figure) -> None:
    """One that knows all labels is level."""
    title, colour = LOOKS[recipe]
    apart = 1.0 + _APART * (list(LOOKS).index(recipe) - len(LOOKS) / 2)
    places = {int(row["labels"]) for row in rows}
    if places == {0}:
        middle, low, high = figure(rows)
        axis.axhline(middle, color=colour, linestyle="--", label=title)
        axis.axhspan(low, high, color=colour, alpha=0.1)
        return
    found = {x: figure([r for r in rows if r["labels"] == x]) for x in labels if x in places}
    xs = [x * apart for x in found]
    middles = [middle for middle, _, _ in found.values()]
    below = [middle - low for middle, low, _ in found.values()]
    above = [high - middle for middle, _, high in found.values()]
    axis.errorbar(xs, middles, (below, above), color=colour, marker="o", capsize=2, label=title)
