"""Targets that are played by time: the step that is due now, never the next in the row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Horizon:
    """Targets [rad or m], the first due at due_ns, the others step_ns after one another."""

    targets: Float[np.ndarray, "horizon actuated"]
    due_ns: int
    step_ns: int

    def at(self, now_ns: int) -> Float[np.ndarray, " actuated"]:
        """The target that is due; the first before its time and the last after its end."""
        if len(self.targets) == 1:
            return self.targets[0]
        index = (now_ns - self.due_ns) // self.step_ns
        return self.targets[min(max(index, 0), len(self.targets) - 1)]

    @property
    def end_ns(self) -> int:
        """When the last target became due; later ones are owed by the next latent."""
        return self.due_ns + (len(self.targets) - 1) * self.step_ns
