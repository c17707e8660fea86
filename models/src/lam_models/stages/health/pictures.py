"""The pictures of a health report, each a PNG in memory."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from lam_models.stages.health.examine import Report
from lam_models.stages.health.gallery import Gallery

# Kinds of probe in the order of the bars: name in the report, label, colour.
KINDS = (
    ("linear", "latent, linear", "#1b6ca8"),
    ("mlp", "latent, MLP", "#7fb3d9"),
    ("linear_unquantised", "unquantised, linear", "#2e8b57"),
    ("mlp_unquantised", "unquantised, MLP", "#8fcfaa"),
    ("linear_frames", "raw frames, linear", "#8a8a8a"),
    ("mlp_frames", "raw frames, MLP", "#c4c4c4"),
)
_MOST_POSITIONS = 8


def draw(report: Report, shown: Gallery) -> dict[str, bytes]:
    """PNGs by name, of what the report has."""
    pictures = {}
    if shown.columns:
        pictures["frames"] = _png(_frames(shown))
    if probe_table(report.flat()):
        pictures["probes"] = _png(_probes(report))
    if report.code_counts:
        pictures["codes"] = _png(_codes(report))
    return pictures


def probe_table(values: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """NMSE of the action by group and kind of probe; "all" is the last group."""
    table: dict[str, dict[str, float]] = {}
    for kind in ("constant", *(name for name, _, _ in KINDS)):
        prefix = f"probe.{kind}."
        for name, value in values.items():
            if name.startswith(prefix):
                table.setdefault(name.removeprefix(prefix), {})[kind] = value
    return dict(sorted(table.items(), key=lambda item: item[0] == "all"))


def _frames(shown: Gallery) -> Figure:
    rows, columns = len(next(iter(shown.columns.values()))), len(shown.columns)
    figure = Figure(figsize=(1.5 * columns, 1.5 * rows + 0.4), layout="constrained")
    axes = np.atleast_2d(figure.subplots(rows, columns, squeeze=False))
    for j, (title, images) in enumerate(shown.columns.items()):
        axes[0, j].set_title(title, fontsize=9)
        for i, image in enumerate(images):
            axes[i, j].imshow(image, interpolation="nearest")
            axes[i, j].set_axis_off()
    return figure


def _probes(report: Report) -> Figure:
    table = probe_table(report.flat())
    kinds = [kind for kind in KINDS if any(kind[0] in row for row in table.values())]
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(kinds)
    for k, (kind, label, colour) in enumerate(kinds):
        at = np.arange(len(table)) + (k - (len(kinds) - 1) / 2) * width
        heights = [min(row.get(kind, np.nan), 1.5) for row in table.values()]
        axes.bar(at, heights, width, label=label, color=colour)
    axes.axhline(1, color="black", linewidth=1, linestyle="--")
    axes.set_xticks(np.arange(len(table)), list(table))
    axes.set_ylabel("NMSE (0 reads it, 1 a constant)")
    axes.set_title("Reading the true action", fontsize=10)
    axes.legend(fontsize=7, ncols=2)
    return figure


def _codes(report: Report) -> Figure:
    counts = np.array(report.code_counts[:_MOST_POSITIONS], dtype=float)
    shares = counts / counts.sum(1, keepdims=True)
    figure = Figure(figsize=(6.4, 0.9 * len(shares) + 0.6), layout="constrained")
    axes = figure.subplots(len(shares), 1, squeeze=False, sharex=True)[:, 0]
    for position, (ax, row) in enumerate(zip(axes, shares, strict=True)):
        ax.bar(np.arange(len(row)), row, color="#1b6ca8")
        ax.axhline(1 / len(row), color="black", linewidth=1, linestyle="--")
        ax.set_ylabel(f"token {position}", fontsize=8)
    axes[-1].set_xlabel("code (dashed: all evenly used)")
    axes[0].set_title("Share of clips that take each code", fontsize=10)
    return figure


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
