"""The simulated tasks: one file each, holding its scene, instruction, success test and expert.

A new task is one file and one line here; the tests are parametrised over this registry.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from lam_models.command import unknown

if TYPE_CHECKING:
    from lam_sim.tasks.task import Task

TASKS: dict[str, str] = {
    "reach": "lam_sim.tasks.reach:Reach",
    "push_to_zone": "lam_sim.tasks.push_to_zone:PushToZone",
    "pick_place": "lam_sim.tasks.pick_place:PickPlace",
    "stack": "lam_sim.tasks.stack:Stack",
    "open_drawer": "lam_sim.tasks.open_drawer:OpenDrawer",
}


def task_class(name: str) -> type[Task]:
    """The class of the task `name`; UserError with the nearest known name where there is none."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    module, _, attribute = TASKS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
