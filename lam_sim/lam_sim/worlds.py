"""The kinds of world by name, and the choice of one world out of a kind.

A kind knows its tasks, hands and distractors and makes worlds; nothing here imports a simulator
before a world is made, so that names can be checked and help be shown at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from lam_models.command import UserError, unknown
from lam_sim.interface import World, find

KINDS = {
    "table": "lam_sim.worlds:TableKind",
    "metaworld": "lam_sim.metaworld.world:MetaWorldKind",
}
DEFAULT_KIND = "table"


@dataclass(frozen=True)
class WorldChoice:
    """One world: everything but the seed. Can be sent between processes."""

    kind: str
    task: str
    hand: str
    difficulty: float = 0.5
    distractors: tuple[str, ...] = ()
    embodiment_variation: bool = False


@dataclass(frozen=True)
class EpisodeJob:
    """One episode of one world."""

    choice: WorldChoice
    seed: int

    def __str__(self) -> str:
        return f"{self.choice.task} with {self.choice.hand}, seed {self.seed}"


class Kind(Protocol):
    """A family of worlds that differ in task, hand and appearance."""

    def tasks(self) -> tuple[str, ...]: ...

    def hands(self) -> tuple[str, ...]: ...

    def distractors(self) -> tuple[str, ...]: ...

    def time_limit_s(self, task: str) -> float:
        """Simulated seconds after which an episode has failed."""
        ...

    def make(self, choice: WorldChoice) -> World: ...


class TableKind:
    """Our own world: a Panda at a table."""

    def tasks(self) -> tuple[str, ...]:
        from lam_sim.tasks import TASKS

        return tuple(TASKS)

    def hands(self) -> tuple[str, ...]:
        from lam_sim.table.effectors import EFFECTORS

        return tuple(EFFECTORS)

    def distractors(self) -> tuple[str, ...]:
        from lam_sim.table.distractors import DISTRACTORS

        return tuple(DISTRACTORS)

    def time_limit_s(self, task: str) -> float:
        from lam_sim.tasks import task_class

        return task_class(task).time_limit_s

    def make(self, choice: WorldChoice) -> World:
        from lam_sim.table.world import TableWorld, WorldSettings

        settings = WorldSettings(
            task=choice.task,
            end_effector=choice.hand,
            difficulty=choice.difficulty,
            distractors=choice.distractors,
            embodiment_variation=choice.embodiment_variation,
        )
        return TableWorld(settings)


def kind_named(name: str) -> Kind:
    """The kind of this name; UserError for an unknown one."""
    return find("world", name, KINDS)()


def selection(thing: str, text: str, known: Iterable[str]) -> tuple[str, ...]:
    """Names out of "a,b", "all" or "none", each known and none twice; UserError otherwise.

    "all" leaves out the tasks that a policy is to meet for the first time.
    """
    from lam_sim.tasks import NEW_TASKS

    names = tuple(known)
    if text == "all":
        return tuple(name for name in names if name not in NEW_TASKS)
    if text == "none":
        return ()
    chosen = tuple(name.strip() for name in text.split(","))
    for name in chosen:
        if name not in names:
            raise unknown(thing, name, names)
        if chosen.count(name) > 1:
            raise UserError(f"{thing} '{name}' is given twice")
    return chosen


def some(thing: str, text: str, known: Iterable[str]) -> tuple[str, ...]:
    """Like `selection`, but at least one."""
    chosen = selection(thing, text, known)
    if not chosen:
        raise UserError(f"choose at least one {thing} of: {', '.join(known)}")
    return chosen
