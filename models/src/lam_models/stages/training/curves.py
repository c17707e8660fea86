"""The picture of a training run: losses, and whether the codes are in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_USE = ("perplexity", "used_share")


def draw_curves(metrics: Sequence[Mapping[str, Any]], title: str, path: Path) -> bool:
    """Draw the lines of metrics.jsonl; False where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return False
    names = {name for line in metrics for name in line}
    uses = [use for use in _USE if any(name.endswith(use) for name in names)]
    figure = Figure(figsize=(5 * (1 + len(uses)), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 1 + len(uses), squeeze=False)[0]
    figure.suptitle(title)
    losses = [name for name in ("loss", "validation/loss") if name in names]
    _draw(axes[0], metrics, losses, "loss")
    if all(line[name] > 0 for line in metrics for name in losses if name in line):
        axes[0].set_yscale("log")
    for axis, use in zip(axes[1:], uses, strict=True):
        _draw(axis, metrics, sorted(name for name in names if name.endswith(use)), use)
        axis.set_ylim(bottom=0)
    figure.savefig(path, dpi=110)
    return True


def _draw(axis: Any, metrics: Sequence[Mapping[str, Any]], names: Sequence[str], what: str) -> None:
    for name in names:
        points = [(line["step"], line[name]) for line in metrics if name in line]
        axis.plot(*zip(*points, strict=True), label=name, linewidth=1.2)
    axis.set_xlabel("step")
    axis.set_title(what.replace("_", " "))
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
