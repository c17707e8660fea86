"""An episode as an mp4: cameras side by side, below them every line with a cursor; and as a png."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lam_models.data.video import VideoEncoder, codec_named
from lam_models.stages.view_shown import Shown

_HEIGHT_PX = 288
_LEAST_WIDTH_PX = 640
_DPI = 100
_MOST_LEGEND = 8
_SHOWN_FRAMES = 6
_RED = (200, 40, 30)

# Of any size: a canvas is larger than what is put on it.
Image = UInt8[np.ndarray, "_ _ 3"]


def write_film(shown: Shown, path: Path) -> None:
    """The mp4, in real time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first = _side_by_side({name: film[0] for name, film in shown.pictures(0).items()})
    chart, columns = _chart(shown, first.shape[1])
    height = first.shape[0] + chart.shape[0]
    encoder = VideoEncoder(
        shown.dataset.fps, height + height % 2, first.shape[1], codec_named("h264")
    )
    for frame, pictures in _frames(shown):
        below = chart.copy()
        column = int(columns[frame])
        below[:, max(0, column - 1) : column + 1] = _RED
        canvas = np.zeros((height + height % 2, first.shape[1], 3), np.uint8)
        canvas[: first.shape[0]] = _side_by_side(pictures)
        canvas[first.shape[0] : height] = below
        encoder.add(canvas)
    path.write_bytes(encoder.finish())


def write_sheet(shown: Shown, path: Path) -> None:
    """The png: frames of every camera over the episode, the path from above, every line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = np.linspace(0, shown.length - 1, min(_SHOWN_FRAMES, shown.length)).round().astype(int)
    cameras = shown.dataset.cameras
    rows = [*([1.6] * len(cameras)), *_heights(shown)]
    if shown.path_m is not None:
        rows.append(2.4)
    figure = Figure(figsize=(11, sum(rows) + 0.5), layout="constrained")
    figure.suptitle(_title(shown), fontsize=11)
    bands = figure.subfigures(len(rows), 1, height_ratios=rows, squeeze=False)[:, 0]
    for band, camera in zip(bands, cameras, strict=False):
        for axes, frame in zip(np.atleast_1d(band.subplots(1, len(chosen))), chosen, strict=True):
            at = int(frame)
            axes.imshow(shown.dataset.frames(shown.episode, camera, at, at + 1)[0])
            axes.set_title(f"{camera.rpartition('.')[2]} {at / shown.dataset.fps:.1f} s", size=7)
            axes.set_axis_off()
    panels = [band.subplots() for band in bands[len(cameras) : len(cameras) + len(_heights(shown))]]
    _draw_panels(shown, panels)
    if shown.path_m is not None:
        _draw_path(shown, bands[-1].subplots(1, 2))
    figure.savefig(path, dpi=_DPI)


def _frames(shown: Shown) -> Iterator[tuple[int, dict[str, Image]]]:
    frame = 0
    while frame < shown.length:
        films = shown.pictures(frame)
        count = len(next(iter(films.values()))) if films else shown.length
        for i in range(count):
            yield frame + i, {name: film[i] for name, film in films.items()}
        frame += count


def _side_by_side(pictures: dict[str, Image]) -> Image:
    """All at one height, named, on a canvas of even width."""
    parts = []
    for name, picture in pictures.items():
        height, width, _ = picture.shape
        size = (max(2, round(width * _HEIGHT_PX / height)), _HEIGHT_PX)
        part = cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR)
        label = name.rpartition(".")[2]
        cv2.putText(part, label, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 3)
        cv2.putText(part, label, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 1)
        parts.append(np.asarray(part, dtype=np.uint8))
    joined = np.concatenate(parts, axis=1) if parts else np.zeros((2, 2, 3), np.uint8)
    width = max(_LEAST_WIDTH_PX, joined.shape[1] + joined.shape[1] % 2)
    canvas = np.zeros((joined.shape[0], width, 3), np.uint8)
    canvas[:, : joined.shape[1]] = joined
    return canvas


def _heights(shown: Shown) -> list[float]:
    """Of the panels [inch], motion codes last."""
    codes = [0.3 + 0.12 * len(shown.codes)] if shown.codes is not None else []
    return [1.3] * len(shown.panels) + [max(0.8, height) for height in codes]


def _chart(shown: Shown, width_px: int) -> tuple[Image, np.ndarray]:
    """All panels as one picture, and its column at each frame."""
    heights = _heights(shown)
    if not heights:
        text = Figure(figsize=(width_px / _DPI, 0.4))
        text.suptitle(_title(shown), fontsize=8, y=0.7)
        return _pixels(text), np.linspace(0, width_px - 1, shown.length)
    figure = Figure(figsize=(width_px / _DPI, sum(heights) + 0.4), dpi=_DPI)
    figure.suptitle(_title(shown), fontsize=8)
    panels = figure.subplots(
        len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    inch = 1 / (sum(heights) + 0.4)
    figure.subplots_adjust(0.09, 0.25 * inch, 0.8, 1 - 0.35 * inch, hspace=0.45)
    _draw_panels(shown, list(panels))
    pixels = _pixels(figure)
    times_s = np.arange(shown.length) / shown.dataset.fps
    points = np.column_stack([times_s, np.zeros(shown.length)])
    return pixels, panels[0].transData.transform(points)[:, 0].clip(0, width_px - 1)


def _draw_panels(shown: Shown, panels: list[Axes]) -> None:
    times_s = np.arange(shown.length) / shown.dataset.fps
    for axes, (title, lines) in zip(panels, shown.panels.items(), strict=False):
        for name, values in lines.items():
            axes.plot(times_s, values, linewidth=1, label=name)
        axes.set_title(title, fontsize=8, loc="left", pad=2)
        if len(lines) <= _MOST_LEGEND:
            axes.legend(fontsize=5, loc="center left", bbox_to_anchor=(1.0, 0.5))
    if shown.codes is not None:
        axes = panels[-1]
        codes = np.ma.masked_less(shown.codes, 0)
        extent = (0, times_s[-1] + 1 / shown.dataset.fps, len(codes), 0)
        axes.imshow(codes, aspect="auto", cmap="tab20", interpolation="nearest", extent=extent)
        axes.set_title("motion codes", fontsize=8, loc="left", pad=2)
    for axes in panels:
        axes.tick_params(labelsize=6)
        axes.set_xlim(0, max(times_s[-1], 1 / shown.dataset.fps))
        for gap in shown.gaps:
            axes.axvline(gap.frame / shown.dataset.fps, color="#c0392b", linewidth=2)


def _draw_path(shown: Shown, panels: np.ndarray) -> None:
    path = shown.path_m
    assert path is not None
    for axes, (i, j) in zip(panels, ((0, 1), (0, 2)), strict=True):
        axes.plot(path[:, i], path[:, j], linewidth=1)
        axes.plot(*path[0, [i, j]], "go", *path[-1, [i, j]], "rs", markersize=5)
        axes.set_xlabel(f"{'xyz'[i]} [m]", fontsize=7)
        axes.set_ylabel(f"{'xyz'[j]} [m]", fontsize=7)
        axes.tick_params(labelsize=6)
        axes.set_aspect("equal", adjustable="datalim")


def _title(shown: Shown) -> str:
    gaps = f", {len(shown.gaps)} gap(s)" if shown.gaps else ""
    return f"{shown.name}: {shown.instruction or '(no instruction)'}{gaps}"


def _pixels(figure: Figure) -> Image:
    canvas = FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    canvas.print_rgba(buffer)
    width, height = canvas.get_width_height()
    flat = np.frombuffer(buffer.getvalue(), np.uint8)
    return flat.reshape(height, width, 4)[..., :3].copy()
