"""The results of an evaluation: episodes run, counted by task and hand, and shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from lam_models.data.video import VideoEncoder, codec_named
from lam_models.types import Action
from lam_sim.interface import World
from lam_sim.rollouts.policy_actor import PolicyFolder
from lam_sim.rollouts.rollout import Outcome, Stage, Watcher
from lam_sim.rollouts.wilson import wilson_interval
from lam_sim.worlds import EpisodeJob, WorldChoice

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


# The time is the mean simulated time to success.
_HEAD = ("task", "hand", "success", "rate", "95 %", "time")


def _row(cell: Cell) -> tuple[str, ...]:
    low, high = wilson_interval(cell.successes, len(cell.outcomes))
    time_s = cell.mean_success_s
    return (
        cell.task,
        cell.hand,
        f"{cell.successes}/{len(cell.outcomes)}",
        f"{100 * cell.rate:.1f} %",
        f"{100 * low:.1f} - {100 * high:.1f}",
        "-" if time_s is None else f"{time_s:.1f} s",
    )


def rich_table(policy: str, cells: list[Cell]) -> Table:
    """For the terminal."""
    table = Table(title=f"success of {policy}", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in _HEAD:
        table.add_column(name, overflow="fold")
    for cell in cells:
        table.add_row(*_row(cell))
    return table


def failed_seeds(cells: list[Cell]) -> list[str]:
    """One line for each cell with failures: the seeds that show them again."""
    return [
        f"failed seeds of {cell.task} with {cell.hand}: {' '.join(map(str, cell.failed_seeds))}"
        for cell in cells
        if cell.failed_seeds
    ]


def markdown(policy: str, cells: list[Cell]) -> str:
    """The same as a Markdown table."""
    rows = [_HEAD, tuple("---" for _ in _HEAD), *map(_row, cells)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", *(f"* {line}" for line in failed_seeds(cells))]
    return f"# Success of {policy}\n\n" + "\n".join(lines).rstrip() + "\n"


class EvaluationWork:
    """An evaluation worker: runs the policy at the job's world and seed."""

    def __init__(self, policy: str | PolicyFolder) -> None:
        self._stage = Stage(policy)

    def __call__(self, job: EpisodeJob) -> Outcome:
        return self._stage.play(job)

    def close(self) -> None:
        self._stage.close()


class FilmingWork:
    """Runs an episode again, all cameras side by side into an mp4; its name says how it ended."""

    def __init__(self, policy: str | PolicyFolder, folder: Path) -> None:
        self._stage = Stage(policy)
        self._folder = folder

    def __call__(self, job: tuple[WorldChoice, Outcome]) -> str:
        choice, before = job
        film = _Film()
        outcome = self._stage.play(EpisodeJob(choice, before.seed), film)
        if outcome != before:
            raise RuntimeError(f"not deterministic: {before} became {outcome}")
        end = "success" if outcome.success else "failure"
        name = f"{choice.task}_{choice.hand}_{outcome.seed}_{end}.mp4"
        partial = self._folder / (name + ".partial")
        partial.write_bytes(film.finish())
        partial.replace(self._folder / name)
        return name

    def close(self) -> None:
        self._stage.close()


class _Film(Watcher):
    def __init__(self) -> None:
        self._encoder: VideoEncoder | None = None

    def before(self, world: World, action: Action) -> None:
        views = [world.render(name, _VIDEO_SIDE, _VIDEO_SIDE) for name in world.cameras]
        image = np.concatenate(views, axis=1)
        if self._encoder is None:
            fps, (height, width, _) = round(world.control_hz), image.shape
            self._encoder = VideoEncoder(fps, height, width, codec_named("h264"))
        self._encoder.add(image)

    def finish(self) -> bytes:
        assert self._encoder is not None
        return self._encoder.finish()
