"""What a dataset says of its clips, as the targets of probes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from lam_models.data.clips import Clips
from lam_models.stages.health.reading import Known

# Columns of the environment state that move without the robot, by the beginning of their names.
DISTRACTORS = ("distractor", "background.", "mover_", "light.", "camera.", "texture.")
# Turns jump at half a turn: positions tell what was moved.
_TURN = re.compile(r"\.(r[xyz]_rad|q[wxyz])$")


@dataclass(frozen=True)
class Names:
    """What the columns of the clips are.

    action_groups: columns by group, e.g. translation, rotation, hand; empty: one group of all.
    environment: of the environment's columns.
    """

    action_groups: Mapping[str, Sequence[int]] = field(default_factory=dict)
    environment: tuple[str, ...] = ()

    def groups(self, columns: int) -> Mapping[str, Sequence[int]]:
        return self.action_groups or {"action": range(columns)}

    @property
    def distractors(self) -> list[int]:
        return [i for i, name in enumerate(self.environment) if name.startswith(DISTRACTORS)]

    @property
    def objects(self) -> list[int]:
        """Positions of bodies, and openings of doors and drawers."""
        known = {*self.distractors}
        names = enumerate(self.environment)
        return [i for i, name in names if i not in known and not _TURN.search(name)]


def known(clips: Clips, names: Names, history: int) -> Known:
    """The truth about the step after the present frame."""
    environments = clips.environments
    change = None
    if environments is not None and environments.shape[2] == len(names.environment):
        change = environments[:, history + 1] - environments[:, history]
    return Known(
        episodes=clips.episodes,
        actions=None if clips.actions is None else _table(clips.actions[:, history]),
        state=None if clips.states is None else _table(clips.states[:, history]),
        distractors=_columns(change, names.distractors),
        objects=_columns(change, names.objects),
    )


def _columns(table: np.ndarray | None, columns: list[int]) -> Tensor | None:
    return None if table is None or not columns else _table(table[:, columns])


def _table(rows: Float32[np.ndarray, "clips column"]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows)).double()
