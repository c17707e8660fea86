"""The numbers of a training run, and the learning rate over its steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lam_models.command import UserError

Precision = Literal["auto", "bf16", "fp32"]
# What may be another when a run is resumed.
_FREE = ("steps", "checkpoint_every", "log_every", "validate_every", "compile")


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    batch_size: clips of a step, over all devices together.
    gradient_clip: greatest norm of the gradient, 0 for no limit.
    warmup_steps: over which the learning rate rises from almost nothing.
    final_rate: share of it that is left at the end of a linear decay; 1 stays constant.
    ema_decay: of the moving average of the weights, which is validated and kept; 0 for none.
    precision: auto takes bf16 on a GPU that has it, else fp32.
    """

    steps: int
    batch_size: int
    learning_rate: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    gradient_clip: float = 0.0
    warmup_steps: int = 0
    final_rate: float = 1.0
    ema_decay: float = 0.0
    precision: Precision = "auto"
    compile: bool = False
    checkpoint_every: int = 500
    log_every: int = 20
    validate_every: int = 200
    seed: int = 0

    def rate(self, step: int) -> float:
        """The learning rate of a step, the first being 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        passed = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.learning_rate * (1.0 - (1.0 - self.final_rate) * min(1.0, passed))

    def check_continues(self, saved: Mapping[str, Any], where: Path) -> None:
        """Raise UserError if a run of the recipe `saved` cannot be resumed with this one."""
        for name, value in dataclasses.asdict(self).items():
            if name not in _FREE and value != saved.get(name):
                raise UserError(
                    f"{where}: the run was begun with {name} {saved.get(name)!r}, not {value!r}; "
                    "resume it with the same, or begin another"
                )


def recipe_of(config: Any, **overrides: Any) -> Recipe:
    """The fields that a system's Config shares with Recipe; an override of None counts as none."""
    names = [field.name for field in dataclasses.fields(Recipe)]
    values = {name: getattr(config, name) for name in names if hasattr(config, name)}
    return Recipe(**values | {k: v for k, v in overrides.items() if v is not None})
