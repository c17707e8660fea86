"""What a run in training is of, kept in its folder, so that nothing else is resumed by mistake."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lam_models.command import UserError
from lam_models.stages.training.snapshot import snapshots


def keep_facts(folder: Path, facts: Mapping[str, Any], resume: bool) -> None:
    """Write run.json; raise UserError if a resumed run would be of something else.

    facts: plain JSON values by a name that a person understands.
    """
    path = folder / "run.json"
    if not resume and snapshots(folder / "snapshots"):
        raise UserError(
            f"{folder} holds an unfinished run; go on with --resume, or remove it to begin anew"
        )
    if resume and path.exists():
        before = json.loads(path.read_text())
        for name, value in facts.items():
            if before.get(name) != value:
                raise UserError(f"{folder} is a run with another {name}; resume it with its own")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(facts, indent=2) + "\n")
