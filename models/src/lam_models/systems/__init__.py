"""The registry: every latent-action system by name, imported only when it is asked for."""

from __future__ import annotations

import importlib
from typing import Any

from lam_models.command import unknown

# name -> "module:Class". A class carries its Config as the attribute `Config`.
SYSTEMS: dict[str, str] = {
    "linear": "lam_models.systems.linear:LinearLam",
    "lapa": "lam_models.systems.lapa:Lapa",
    "lapa_reference": "lam_models.systems.lapa:ReferenceLapa",
    "univla_stage1": "lam_models.systems.univla:UniVlaStage1",
    "univla": "lam_models.systems.univla_stage2:UniVla",
    "igor": "lam_models.systems.igor:Igor",
    "lapo": "lam_models.systems.lapo:Lapo",
    "laom": "lam_models.systems.laom:Laom",
    "idm": "lam_models.systems.idm:Idm",
    "farsighted": "lam_models.systems.farsighted:Farsighted",
}


def find(name: str) -> Any:
    """The class of a system, e.g. `find("linear")`. Raises UserError for an unknown name."""
    if name not in SYSTEMS:
        raise unknown("latent-action system", name, SYSTEMS)
    module, _, attribute = SYSTEMS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
