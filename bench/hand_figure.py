"""The picture of bench/hands.py: the error of every ordered pair, and all methods by figure."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from hand_claims import BASELINES, METRICS, OURS, methods_of, values_of

from report import Row

matplotlib.use("Agg")

SHOWN = (
    "cross_mm",
    "robots_mm",
    "width",
    "recall10",
    "closed20",
    "false20",
    "cycle_mm",
    "leak_hands",
)
AIMS = {"cross_mm": 8.0, "width": 0.06, "recall10": 0.8, "closed20": 0.9, "false20": 0.05}


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(17, 13), layout="constrained")
    halves: Any = figure.subfigures(2, 1)
    above, below = halves
    maps = above.subplots(1, 2)
    for axis, method in zip(maps, (OURS, "IK"), strict=True):
        heat_map(figure, axis, rows, method)
    axes = below.subplots(2, 4, sharey=True)
    for axis, key in zip(axes.flat, SHOWN, strict=True):
        bars(axis, rows, key)
    axes[0, 0].invert_yaxis()
    below.suptitle(
        "Mean over seeds, lines from least to greatest; dotted: the goal. Blue: our space, "
        "light: its recipes with something changed, orange: the others."
    )
    figure.savefig(path, dpi=110)


def heat_map(figure: Any, axis: Any, rows: list[Row], method: str) -> None:
    """Median fingertip error, mm, mean over seeds: from the row's hand to the column's."""
    pairs = [row for row in rows if row["kind"] == "pair" and row["method"] == method]
    names = list(dict.fromkeys(str(row["source"]) for row in pairs))
    errors = np.full((len(names), len(names)), np.nan)
    for row in pairs:
        errors[names.index(str(row["source"])), names.index(str(row["target"]))] = row["mm"]
    shown = axis.imshow(errors, cmap="viridis_r", vmin=0.0, vmax=25.0)
    for source, target in np.ndindex(errors.shape):
        dark = errors[source, target] > 14.0
        text = f"{errors[source, target]:.1f}"
        axis.text(target, source, text, ha="center", va="center", color="w" if dark else "k")
    axis.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axis.set_yticks(range(len(names)), names)
    axis.set(xlabel="to", ylabel="from", title=f"{method}: fingertip error, median, mm")
    figure.colorbar(shown, ax=axis, shrink=0.8, extend="max")


def bars(axis: Any, rows: list[Row], key: str) -> None:
    methods = methods_of(rows)
    for place, method in enumerate(methods):
        held = values_of(rows, method, key)
        if not held:
            continue
        axis.barh(place, statistics.mean(held), 0.7, color=_colour(method))
        axis.plot([min(held), max(held)], [place, place], color="black", linewidth=1)
        axis.annotate(
            f"{statistics.mean(held):.3g}",
            (max(held), place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    if key in AIMS:
        axis.axvline(AIMS[key], color="gray", linestyle=":")
    title, more = METRICS[key]
    axis.set_title(f"{title} ({'more' if more else 'less'} is better)", fontsize=10)
    axis.set_yticks(range(len(methods)), methods)
    axis.margins(x=0.2)


def _colour(method: str) -> str:
    if method in BASELINES:
        return "tab:orange"
    return "tab:blue" if method == OURS else "lightsteelblue"
