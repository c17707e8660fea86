"""The read-outs by name, made alike: whatever reads a chunk out of a backbone's slots."""

from __future__ import annotations

import importlib
from typing import Any

from lam_models.command import unknown

# name -> "module:Class"; the class has a Config with the sizes that `make_read_out` takes.
READ_OUTS: dict[str, str] = {
    "regression": "lam_models.policy.regression:Regression",
    "bins": "lam_models.policy.bins:Bins",
    "diffusion": "lam_models.policy.diffusion:Diffusion",
}


def make_read_out(name: str, **sizes: int) -> Any:
    """A readouts.ReadOut. UserError for an unknown name."""
    if name not in READ_OUTS:
        raise unknown("read-out", name, READ_OUTS)
    module, _, attribute = READ_OUTS[name].partition(":")
    kind = getattr(importlib.import_module(module), attribute)
    return kind(kind.Config(**sizes))
