"""Policies: from what the robot sees and is told to a chunk of actions.

The registry: every policy by name, imported only when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

from lam_models.command import unknown

# name -> "module:Class". A class opens a folder of its own with `open(checkpoint, device)`.
POLICIES: dict[str, str] = {
    "imagined": "lam_models.policy.imagined:Imagined",
    "instant": "lam_models.policy.instant:Instant",
    "slot_policy": "lam_models.policy.slot_policy:SlotPolicy",
    "univla_policy": "lam_models.policy.univla_policy:UnivlaPolicy",
}


def find(name: str) -> Any:
    """The class of a policy, e.g. `find("instant")`. Raises UserError for an unknown name."""
    if name not in POLICIES:
        raise unknown("policy", name, POLICIES)
    module, _, attribute = POLICIES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
