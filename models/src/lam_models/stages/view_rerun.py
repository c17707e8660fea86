"""An episode in rerun: in its window, or as an .rrd file. rerun-sdk is optional."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from typing import Any

from lam_models.command import UserError
from lam_models.stages.view_shown import Shown

_JPEG_QUALITY = 85


def installed() -> bool:
    return importlib.util.find_spec("rerun") is not None


def show(shown: Shown) -> None:
    """Open rerun's window and hand it the episode."""
    stream = _stream(shown)
    stream.spawn()
    _log(stream, shown)


def write_rrd(shown: Shown, path: Path) -> None:
    """The episode as a file for `rerun FILE`."""
    stream = _stream(shown)
    path.parent.mkdir(parents=True, exist_ok=True)
    stream.save(str(path))
    _log(stream, shown)


def _stream(shown: Shown) -> Any:
    return _rerun().RecordingStream("lam view", recording_id=shown.name)


def _rerun() -> Any:
    if not installed():
        raise UserError("rerun-sdk is not installed: pip install rerun-sdk, or name an .mp4 file")
    return importlib.import_module("rerun")


def _log(stream: Any, shown: Shown) -> None:
    rr = _rerun()
    text = f"{shown.name}\n\n{shown.instruction}"
    stream.log("instruction", rr.TextDocument(text), static=True)
    if shown.path_m is not None:
        stream.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        stream.log("world/path", rr.LineStrips3D([shown.path_m]), static=True)
    gaps = {gap.frame: gap for gap in shown.gaps}
    films: dict = {}
    first = 0
    for frame in range(shown.length):
        if not films or frame - first >= len(next(iter(films.values()))):
            films, first = shown.pictures(frame), frame
        stream.set_time("frame", sequence=frame)
        stream.set_time("episode", duration=frame / shown.dataset.fps)
        for camera, film in films.items():
            image = rr.Image(film[frame - first]).compress(jpeg_quality=_JPEG_QUALITY)
            stream.log(f"cameras/{camera.rpartition('.')[2]}", image)
        _log_numbers(stream, rr, shown, frame)
        if frame in gaps:
            gap = gaps[frame]
            said = f"gap of {gap.missing_s:.3g} s by '{gap.column}'"
            stream.log("gaps", rr.TextLog(said, level="WARN"))
    stream.flush()


def _log_numbers(stream: Any, rr: Any, shown: Shown, frame: int) -> None:
    for title, lines in shown.panels.items():
        folder = title.partition(" [")[0].replace(": ", "/").replace(" ", "_")
        for name, values in lines.items():
            stream.log(f"{folder}/{name}", rr.Scalars(values[frame]))
    if shown.path_m is not None:
        stream.log("world/end_effector", rr.Points3D([shown.path_m[frame]], radii=0.01))
    if shown.codes is not None:
        for token, code in enumerate(shown.codes[:, frame].tolist()):
            stream.log(f"motion_codes/{token}", rr.Scalars(code))
