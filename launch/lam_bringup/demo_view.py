"""A window onto the cameras, where this machine has a way to open one."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable

from lam_models.command import UserError

View = Callable[[str, bytes], None]

# Matplotlib draws slowly, and the robot must not wait for it.
_WINDOW_PERIOD_S = 0.25


def open_view() -> View:
    """What to call with each camera's name and JPEG: Rerun's viewer, else a plain window."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError("--view needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set")
    if importlib.util.find_spec("rerun"):
        return _rerun_view()
    if importlib.util.find_spec("tkinter"):
        return _window_view()
    raise UserError("--view needs Rerun (pip install rerun-sdk) or Python's tkinter")


def _rerun_view() -> View:
    import rerun  # pyright: ignore[reportMissingImports]

    rerun.init("lam demo", spawn=True)

    def show(camera: str, jpeg: bytes) -> None:
        rerun.log(camera, rerun.EncodedImage(contents=jpeg, media_type="image/jpeg"))

    return show


def _window_view() -> View:
    import matplotlib

    matplotlib.use("TkAgg")
    import matplotlib.pyplot as plt
    import numpy as np

    from lam_models.sense.pixels import decode_compressed

    figure, axes = plt.subplots(1, 2, num="lam demo", figsize=(11, 4.5), layout="constrained")
    images = {}
    for camera, axis in zip(("front", "wrist"), axes, strict=True):
        images[camera] = axis.imshow(np.zeros((480, 640, 3), np.uint8))
        axis.set_title(camera)
        axis.axis("off")
    plt.show(block=False)
    shown_s = {"front": 0.0, "wrist": 0.0}

    def show(camera: str, jpeg: bytes) -> None:
        if time.monotonic() - shown_s[camera] < _WINDOW_PERIOD_S:
            return
        shown_s[camera] = time.monotonic()
        images[camera].set_data(decode_compressed(jpeg))
        figure.canvas.draw_idle()
        figure.canvas.flush_events()

    return show
