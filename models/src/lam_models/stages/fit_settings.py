"""What a latent-action model is trained from and how, as the command line says it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_type_hints

from lam_models.command import UserError, unknown
from lam_models.stages.training.recipe import Precision

PRESETS = ("paper", "small", "tiny")


@dataclass(frozen=True)
class FitSettings:
    """None leaves a number to the preset.

    camera: of the dataset; None takes its first.
    labels: share of the training episodes whose actions may be used, None for no actions at all.
    validation: share of the episodes kept for validation.
    cache: how frames are kept for fast reading: raw, or as jpeg in a tenth of the space.
    strict: refuse a dataset with damaged episodes instead of leaving them out.
    after: folder of the model that this one builds on.
    changes: any field of the system's Config by name; applied last.
    """

    system: str
    dataset: Path
    out: Path
    preset: Literal["paper", "small", "tiny"] = "small"
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    gap_s: float | None = None
    camera: str | None = None
    labels: float | None = None
    validation: float = 0.1
    cache: Literal["raw", "jpeg"] = "raw"
    strict: bool = False
    after: Path | None = None
    seed: int = 0
    precision: Precision = "auto"
    compile: bool = False
    resume: bool = False
    overwrite: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.labels is not None and not 0.0 < self.labels <= 1.0:
            raise UserError(f"labels {self.labels:g}: a share above 0, at most 1")
        if not 0.0 <= self.validation < 1.0:
            raise UserError(f"validation {self.validation:g}: a share from 0 to below 1")
        for name in ("steps", "batch_size", "learning_rate", "gap_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"{name} {value:g}: must be above 0")

    def config_changes(self, fields: Sequence[str]) -> dict[str, Any]:
        """What is to be another than in the preset, of a Config with these fields."""
        named = ("steps", "batch_size", "learning_rate", "gap_s")
        given = {name: getattr(self, name) for name in named if name in fields}
        return {k: v for k, v in given.items() if v is not None} | dict(self.changes)


def read_changes(words: Sequence[str], config: type) -> dict[str, Any]:
    """Words name=value as fields of a Config class: JSON, plain text, or numbers joined by commas.

    Raises UserError for a name that is no field; ill-typed values are refused by the Config.
    """
    kinds = get_type_hints(config)
    hints = {entry.name: kinds[entry.name] for entry in dataclasses.fields(config)}
    changes = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise UserError(f"--set {word}: expected name=value")
        if name not in hints:
            raise unknown("setting", name, hints)
        changes[name] = text if hints[name] is str else _value(text)
    return changes


def _value(text: str) -> Any:
    if text in ("True", "False", "None"):
        return {"True": True, "False": False, "None": None}[text]
    for form in (text, f"[{text}]" if "," in text else text):
        try:
            return json.loads(form)
        except json.JSONDecodeError:
            continue
    return text
