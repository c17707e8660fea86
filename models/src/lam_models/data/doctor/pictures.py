"""Draws what a finding shows: frames of a camera side by side, or lines over time."""

from __future__ import annotations

import io

import numpy as np
from av.error import FFmpegError
from jaxtyping import UInt8
from matplotlib.figure import Figure

from lam_models.command import UserError
from lam_models.data.doctor.finding import Curve, Strip
from lam_models.data.doctor.patient import Patient
from lam_models.data.video import VideoFile

_WIDTH_IN = 8.0
_MOST_FRAMES = 6


def draw(patient: Patient, shows: Strip | Curve) -> bytes:
    """A PNG."""
    figure = _strip(patient, shows) if isinstance(shows, Strip) else _curve(shows)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def _strip(patient: Patient, strip: Strip) -> Figure:
    shown = strip.frames[:_MOST_FRAMES]
    figure = Figure(figsize=(_WIDTH_IN, _WIDTH_IN / len(shown) + 0.6), layout="constrained")
    figure.suptitle(strip.camera, fontsize=10)
    panels = figure.subplots(1, len(shown), squeeze=False)[0]
    for axes, (number, frame) in zip(panels, shown, strict=True):
        picture = _frame(patient, strip.camera, number, frame)
        if picture is not None:
            axes.imshow(picture)
        axes.set_title(f"episode {number}\nframe {frame}", fontsize=8)
        axes.set_axis_off()
    return figure


def _curve(curve: Curve) -> Figure:
    figure = Figure(figsize=(_WIDTH_IN, 2.8), layout="constrained")
    axes = figure.subplots()
    for name, values in curve.lines.items():
        axes.plot(curve.x, values, marker=".", markersize=3, linewidth=1, label=name)
    for mark in curve.marks:
        axes.axvline(mark, color="#c0392b", linestyle="--", linewidth=1)
    finite = np.concatenate([np.abs(v[np.isfinite(v)]) for v in curve.lines.values()])
    if finite.size and finite.max() > 50 * (np.median(finite) + 1e-9):
        axes.set_yscale("symlog", linthresh=max(float(np.median(finite)), 1e-3))
    axes.set_title(curve.title, fontsize=10)
    axes.set_xlabel(curve.x_label)
    axes.grid(alpha=0.3)
    if len(curve.lines) > 1:
        axes.legend(fontsize=8)
    return figure


def _frame(
    patient: Patient, camera: str, number: int, frame: int
) -> UInt8[np.ndarray, "height width 3"] | None:
    """None where it cannot be decoded."""
    episode = next(one for one in patient.episodes if one.index == number)
    span = episode.videos[camera]
    try:
        video = VideoFile(span.path, patient.fps)
    except UserError:
        return None
    try:
        return video.read(span.start + frame, span.start + frame + 1)[0]
    except (UserError, FFmpegError, IndexError):
        return None
    finally:
        video.close()
