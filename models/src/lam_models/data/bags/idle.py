"""Where an episode begins and ends in earnest: pauses before and after teach a policy to wait."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from lam_models.data.bags.frames import DELTA_NAMES, Columns

# What stands still, a second: below what a person's hand or a sensor's noise does.
_STILL_M_S = 2e-3
_STILL_RAD_S = 1e-2
_STILL_JOINT_S = 1e-2
# Kept of the pause on each side.
_MARGIN_S = 0.2


def busy_span(columns: Columns, fps: int) -> tuple[int, int]:
    """First frame to keep and the one after the last; (0, 0) where nothing ever moves."""
    busy = np.flatnonzero(_busy(columns, fps))
    if not len(busy):
        return 0, 0
    margin, length = round(_MARGIN_S * fps), len(columns["action"])
    return max(0, int(busy[0]) - margin), min(length, int(busy[-1]) + 1 + margin)


def _busy(columns: Columns, fps: int) -> Bool[np.ndarray, " frames"]:
    """Frames in which something is commanded, or in which the robot moves."""
    out = np.zeros(len(columns["action"]), bool)
    for name in ("action", "measured.action"):
        values = columns[name].astype(np.float64)
        hand = values[:, len(DELTA_NAMES) :]
        step = np.abs(np.diff(hand, axis=0, prepend=hand[:1])).max(axis=1, initial=0.0)
        out |= np.linalg.norm(values[:, :3], axis=1) * fps > _STILL_M_S
        out |= np.linalg.norm(values[:, 3:6], axis=1) * fps > _STILL_RAD_S
        out |= step * fps > _STILL_JOINT_S
    return out
