"""The simulated tasks: one file each, holding its scene, instruction, success test and expert.

A new task is one file and one line here; the tests are parametrised over this registry.
"""

from __future__ import annotations

from lam_sim.interface import find
from lam_sim.tasks.task import Task

TASKS: dict[str, str] = {
    "reach": "lam_sim.tasks.reach:Reach",
    "push_to_zone": "lam_sim.tasks.push_to_zone:PushToZone",
    "pick_place": "lam_sim.tasks.pick_place:PickPlace",
    "stack": "lam_sim.tasks.stack:Stack",
    "open_drawer": "lam_sim.tasks.open_drawer:OpenDrawer",
    "place_crate": "lam_sim.tasks.place_crate:PlaceCrate",
}
# What a trained policy is to meet for the first time: run by name, and no part of `all`.
NEW_TASKS = frozenset({"place_crate"})


def task_class(name: str) -> type[Task]:
    """The task's class; UserError if there is none of that name."""
    return find("task", name, TASKS)
