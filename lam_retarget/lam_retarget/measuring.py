"""Where a hand stands, gathered from messages that may each tell of some joints only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lam_models.hands.spec import HandSpec
from lam_retarget.shaping import Joints

# Older positions may no longer be true.
MAX_AGE_NS = 1_000_000_000


class Posture:
    """Measured positions [rad or m] by joint, and the actuated ones that they come from.

    A motor that no joint state tells of follows from the joints that follow it.
    """

    def __init__(self, spec: HandSpec) -> None:
        self._spec = spec
        self._rows = {name: row for row, name in enumerate(spec.names)}
        for channel in spec.command.order:
            self._rows.setdefault(channel.name or channel.joint, self._rows[channel.joint])
        self.forget()

    def forget(self) -> None:
        """Nothing is measured."""
        self._at: dict[int, tuple[float, int]] = {}

    def note(self, names: Sequence[str], positions: Sequence[float], now_ns: int) -> None:
        """Positions by the names of the hand's joints or of its driver's channels."""
        for name, position in zip(names, positions, strict=False):
            if (row := self._rows.get(name)) is not None and math.isfinite(position):
                self._at[row] = (float(position), now_ns)

    def at(self, now_ns: int) -> tuple[Joints | None, str]:
        """The actuated joints; or None, and whose position is missing."""
        recent = [row for row, (_, ns) in self._at.items() if now_ns - ns <= MAX_AGE_NS]
        matrix, offset = self._spec.coupling()
        matrix, wanted = matrix[recent], [self._at[row][0] for row in recent]
        told = np.abs(matrix).any(axis=0)
        if not told.all():
            return None, f"no measured position of '{self._spec.actuated[int(np.argmin(told))]}'"
        return np.linalg.lstsq(matrix, np.array(wanted) - offset[recent], rcond=None)[0], ""
