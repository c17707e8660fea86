"""What an inverse-dynamics model is trained from and how, as the command line says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lam_models.command import UserError
from lam_models.stages.training.recipe import Precision

IDM_PRESETS = ("small", "tiny")


@dataclass(frozen=True)
class IdmSettings:
    """None leaves a number to the preset.

    episodes: labelled ones to learn of, evenly spread over the dataset; 0 takes all.
    space, hand: as PolicySettings.
    changes: any field of the model's Config by name; applied last.
    """

    dataset: Path
    out: Path
    episodes: int = 0
    space: str = ""
    hand: str = ""
    preset: Literal["small", "tiny"] = "small"
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    validation: float = 0.05
    cache: Literal["raw", "jpeg"] = "raw"
    seed: int = 0
    precision: Precision = "auto"
    resume: bool = False
    overwrite: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.episodes < 0:
            raise UserError(f"episodes {self.episodes}: must be 0 (all) or more")
        if not 0.0 <= self.validation < 1.0:
            raise UserError(f"validation {self.validation:g}: a share from 0 to below 1")
        for name in ("steps", "batch_size", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"{name} {value:g}: must be above 0")
