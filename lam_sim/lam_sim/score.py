"""The results of an evaluation: episodes run, counted by task and hand, and shown."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from lam_models.data.video import VideoEncoder, codec_named
from lam_models.types import Action
from lam_sim.actors import make_actor
from lam_sim.interface import World
from lam_sim.rollout import Outcome, Watcher, run_episode
from lam_sim.wilson import wilson_interval
from lam_sim.worlds import WorldChoice, kind_named

_VIDEO_SIDE = 256


@dataclass
class Cell:
    """All episodes of one task with one hand."""

    task: str
    hand: str
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def successes(self) -> int:
        return sum(outcome.success for outcome in self.outcomes)

    @property
    def rate(self) -> float:
        return self.successes / len(self.outcomes)

    @property
    def mean_success_s(self) -> float | None:
        """Mean simulated time to success [s]; None where there is no success."""
        times = [outcome.duration_s for outcome in self.outcomes if outcome.success]
        return float(np.mean(times)) if times else None

    @property
    def failed_seeds(self) -> list[int]:
        return [outcome.seed for outcome in self.outcomes if not outcome.success]

    def to_json(self) -> dict[str, Any]:
        low, high = wilson_interval(self.successes, len(self.outcomes))
        return {
            "task": self.task,
            "hand": self.hand,
            "episodes": len(self.outcomes),
            "successes": self.successes,
            "rate": self.rate,
            "wilson_95": [low, high],
            "mean_success_s": self.mean_success_s,
            "failed_seeds": self.failed_seeds,
        }


_HEAD = ("task", "hand", "success", "rate", "95 %", "time to success", "first failed seeds")


def _row(cell: Cell) -> tuple[str, ...]:
    low, high = wilson_interval(cell.successes, len(cell.outcomes))
    time_s = cell.mean_success_s
    seeds = " ".join(str(seed) for seed in cell.failed_seeds[:2])
    return (
        cell.task,
        cell.hand,
        f"{cell.successes}/{len(cell.outcomes)}",
        f"{100 * cell.rate:.1f} %",
        f"{100 * low:.1f} - {100 * high:.1f}",
        "-" if time_s is None else f"{time_s:.1f} s",
        seeds + (" ..." if len(cell.failed_seeds) > 2 else ""),
    )


def rich_table(policy: str, cells: list[Cell]) -> Table:
    """For the terminal."""
    table = Table(title=f"success of {policy}")
    for name in _HEAD:
        table.add_column(name)
    for cell in cells:
        table.add_row(*_row(cell))
    return table


def markdown(policy: str, cells: list[Cell]) -> str:
    """The same as a Markdown table."""
    rows = [_HEAD, tuple("---" for _ in _HEAD), *map(_row, cells)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return f"# Success of {policy}\n\n" + "\n".join(lines) + "\n"


class EvaluationWork:
    """An evaluation worker: runs the policy at the job's world and seed."""

    def __init__(self, policy: str) -> None:
        self._actor = make_actor(policy)
        self._choice: WorldChoice | None = None
        self._world: World | None = None

    def __call__(self, job: tuple[WorldChoice, int]) -> Outcome:
        choice, seed = job
        return self.episode(choice, seed)

    def episode(self, choice: WorldChoice, seed: int, watcher: Watcher | None = None) -> Outcome:
        """One episode; the world is kept while the choice stays the same."""
        kind = kind_named(choice.kind)
        if self._world is None or choice != self._choice:
            self.close()
            self._world, self._choice = kind.make(choice), choice
        limit_s = kind.time_limit_s(choice.task)
        return run_episode(self._world, self._actor, seed, limit_s, watcher=watcher)

    def close(self) -> None:
        if self._world is not None:
            self._world.close()
            self._world = None


class FilmingWork(EvaluationWork):
    """Runs an episode again, all cameras side by side into an mp4; its name says how it ended."""

    def __init__(self, policy: str, folder: Path) -> None:
        super().__init__(policy)
        self._folder = folder

    def __call__(self, job: tuple[WorldChoice, Outcome]) -> str:
        choice, before = job
        film = _Film()
        outcome = self.episode(choice, before.seed, film)
        if outcome != before:
            raise RuntimeError(f"{choice}: not deterministic, {before} became {outcome}")
        end = "success" if outcome.success else "failure"
        name = f"{choice.task}_{choice.hand}_{outcome.seed}_{end}.mp4"
        partial = self._folder / (name + ".partial")
        partial.write_bytes(film.finish())
        os.replace(partial, self._folder / name)
        return name


class _Film(Watcher):
    def __init__(self) -> None:
        self._encoder: VideoEncoder | None = None

    def before(self, world: World, action: Action) -> None:
        views = [world.render(name, _VIDEO_SIDE, _VIDEO_SIDE) for name in world.cameras]
        image = np.concatenate(views, axis=1)
        if self._encoder is None:
            fps = round(world.control_hz)
            self._encoder = VideoEncoder(fps, *image.shape[:2], codec_named("h264"))
        self._encoder.add(image)

    def finish(self) -> bytes:
        assert self._encoder is not None
        return self._encoder.finish()
