"""What a policy is finetuned with and how, as the command line says it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lam_models.command import UserError, unknown
from lam_models.stages.training.recipe import Precision

TRAINED = ("words", "heads", "lora", "all")


@dataclass(frozen=True)
class FinetuneSettings:
    """None leaves a number to the policy.

    policy: folder of the policy that is gone on from; all of its weights and statistics stay.
    data, replay: datasets with labelled actions, the new and the earlier ones.
    replay_share: of what is learnt from, where there are earlier ones.
    train: which weights (finetune_parts.py); "" chooses by the backbone.
    intervention_weight: how often a frame is drawn at which a person had taken over from a policy.
    learning_rate: None takes the policy's own, at most `DEFAULT_RATE` or `WORDS_RATE`.
    space: folder of the space of hands, "" for the shipped one. hand: of all datasets, "" finds it.
    """

    policy: Path
    out: Path
    data: tuple[Path, ...]
    replay: tuple[Path, ...] = ()
    replay_share: float = 0.3
    train: Literal["", "words", "heads", "lora", "all"] = ""
    intervention_weight: float = 3.0
    space: str = ""
    hand: str = ""
    validation: float = 0.1
    cache: Literal["raw", "jpeg"] = "raw"
    steps: int = 1000
    batch_size: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    precision: Precision = "auto"
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.train and self.train not in TRAINED:
            raise unknown("part to train", self.train, TRAINED)
        if not self.data:
            raise UserError("no dataset to finetune on")
        if not 0.0 < self.replay_share < 1.0:
            raise UserError(f"replay share {self.replay_share:g}: a share above 0 and below 1")
        if not 0.0 < self.validation < 1.0:
            raise UserError(
                f"validation {self.validation:g}: a share above 0 and below 1, for before and "
                "after are compared on episodes that are not learnt from"
            )
        if not 0.0 < self.intervention_weight <= 100.0:
            raise UserError(
                f"intervention weight {self.intervention_weight:g}: above 0, at most 100"
            )
        for name in ("steps", "batch_size", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"{name} {value:g}: must be above 0")
        if self.out.resolve() == self.policy.resolve():
            raise UserError(f"{self.out} is the policy itself; choose another folder")
