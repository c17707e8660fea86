"""`lam eval`: how often a policy succeeds, for each task and hand, with 95 % Wilson intervals.

Episodes are spread over worker processes, and their scenes depend on (seed, index) alone. Without
ROS they are deterministic: those wanted as videos are run once more with a camera on. With --ros
each worker launches simulator, policy and hand as `lam launch` does, and films what the cameras
send.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lam_models.command import UserError
from lam_models.policy.shipped import policy_folder
from lam_sim.metaworld import venv as metaworld_venv
from lam_sim.rollouts import parallel
from lam_sim.worlds import DEFAULT_KIND, KINDS, EpisodeJob, WorldChoice, kind_named, selection, some

if TYPE_CHECKING:
    from lam_sim.rollouts.policy_actor import PolicyFolder
    from lam_sim.rollouts.rollout import Outcome
    from lam_sim.rollouts.score import Cell
    from lam_sim.rollouts.through_ros import RosPolicy

SUMMARY = "measure how often a policy succeeds in simulation"


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    policy: str
    kind: str
    tasks: tuple[str, ...]
    hands: tuple[str, ...]
    episodes: int
    seed: int
    difficulty: float
    distractors: tuple[str, ...]
    space: str = ""
    replan_steps: int = 1
    ros: bool = False
    strategy: str = "latest"
    real_time_factor: float = 1.0

    @property
    def actor(self) -> str | PolicyFolder:
        """As rollouts.actors.make_actor takes it."""
        from lam_sim.rollouts.actors import ACTORS
        from lam_sim.rollouts.policy_actor import PolicyFolder

        if self.policy in ACTORS:
            return self.policy
        return PolicyFolder(self.policy, self.space, self.replan_steps)

    @property
    def launched(self) -> RosPolicy:
        """The same through ROS."""
        from lam_sim.rollouts.through_ros import RosPolicy

        return RosPolicy(self.policy, self.space, self.strategy, self.real_time_factor)

    def choices(self) -> list[WorldChoice]:
        """One world a cell of the table, task by task."""
        return [
            WorldChoice(self.kind, task, hand, self.difficulty, self.distractors)
            for task in self.tasks
            for hand in self.hands
        ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--policy",
        required=True,
        help="a policy folder, shipped, expert, carried (the expert through the shared space of "
        "hands), noop (holds still) or replay (acts blindly)",
    )
    add("--space", default="", help="folder of a policy's space of hands (default: the shipped)")
    add(
        "--replan",
        type=int,
        default=1,
        metavar="STEPS",
        help="control periods between a policy's answers, without --ros (default %(default)s)",
    )
    _add_ros(parser)
    add("--task", default="all", help="names joined by commas; all (default): without place_crate")
    add("--hand", default="all", help="names joined by commas, or all (default)")
    add("--episodes", type=int, default=100, help="per task and hand (default %(default)s)")
    add("--seed", type=int, default=0, help="default %(default)s")
    add("--difficulty", type=float, default=0.5, help="0 easy to 1 hard (default %(default)s)")
    add("--distractors", default="none", help="names joined by commas, all or none")
    add("--world", default=DEFAULT_KIND, help=f"{' or '.join(KINDS)} (default %(default)s)")
    add("--workers", default="auto", help="processes, or auto: one a core (default %(default)s)")
    add("--out", type=Path, default=None, help="folder for results.json, results.md and videos")
    add(
        "--video",
        type=int,
        default=0,
        metavar="N",
        help="write videos of the first N episodes and the first N failures of each task and hand",
    )
    add(
        "--at-least",
        type=float,
        default=None,
        metavar="RATE",
        help="exit with 1 where the success rate of any task and hand is below this (0 to 1)",
    )


def _add_ros(parser: argparse.ArgumentParser) -> None:
    ros = parser.add_argument_group("through ROS")
    ros.add_argument(
        "--ros",
        action="store_true",
        help="launch simulator, policy_node and retarget_node, each worker its own",
    )
    ros.add_argument("--strategy", default="latest", help="how plans are spliced (%(default)s)")
    ros.add_argument(
        "--real-time-factor",
        type=float,
        default=1.0,
        metavar="X",
        help="simulated seconds a second at most; a policy's own time grows with it (%(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    if metaworld_venv.needed(args.world):
        metaworld_venv.continue_there("lam_sim.rollouts.evaluate", args)
    parallel.one_thread_each()
    plan = _plan(args)
    workers = parallel.worker_count(args.workers)
    out = Path(args.out) if args.out else None
    try:
        with parallel.terminated_like_interrupted():
            cells = _measure(plan, workers, out, args.video)
            _report(plan, cells, out)
            if out and args.video and plan.ros:
                _keep_films(plan, cells, args.video, out)
            elif out and args.video:
                _film(plan, cells, args.video, out, workers)
    except KeyboardInterrupt:
        print("interrupted: nothing more is measured or written")
        return 130
    return _verdict(cells, args.at_least)


def _plan(args: argparse.Namespace) -> Plan:
    """UserError for whatever cannot be."""
    from lam_sim.rollouts.actors import make_actor

    for name, low in (("episodes", 1), ("seed", 0), ("video", 0)):
        if getattr(args, name) < low:
            raise UserError(f"--{name} is {getattr(args, name)}; allowed: {low} or more")
    if args.at_least is not None and not 0.0 <= args.at_least <= 1.0:
        raise UserError(f"--at-least is {args.at_least:g}; allowed: 0 to 1")
    if args.video and args.out is None:
        raise UserError("--video needs --out, the folder to write to")
    kind = kind_named(args.world)
    plan = Plan(
        policy=str(policy_folder(args.policy)),
        kind=args.world,
        tasks=some("task", args.task, kind.tasks()),
        hands=some("hand", args.hand, kind.hands()),
        episodes=args.episodes,
        seed=args.seed,
        difficulty=args.difficulty,
        distractors=selection("distractor", args.distractors, kind.distractors()),
        space=args.space,
        replan_steps=args.replan,
        ros=args.ros,
        strategy=args.strategy,
        real_time_factor=args.real_time_factor,
    )
    if args.ros and (isinstance(plan.actor, str) or plan.kind != DEFAULT_KIND):
        raise UserError(f"--ros runs a policy folder in the world '{DEFAULT_KIND}'")
    if args.ros and not args.real_time_factor > 0.0:
        raise UserError(f"--real-time-factor is {args.real_time_factor:g}; allowed: above 0")
    make_actor(plan.actor)
    return plan


def _measure(plan: Plan, workers: int, out: Path | None = None, films: int = 0) -> list[Cell]:
    from lam_sim.rollouts.progress import episodes_progress
    from lam_sim.rollouts.score import Cell, EvaluationWork

    cells = [Cell(choice.task, choice.hand) for choice in plan.choices()]
    total = plan.episodes * len(cells)
    make = partial(EvaluationWork, plan.actor)
    if plan.ros:
        make = _through_ros(plan, out, films)
    with (
        parallel.Workers(make, min(workers, total)) as crew,
        episodes_progress(f"{plan.policy}", total) as progress,
    ):
        for i, outcome in enumerate(crew.ordered(_jobs(plan))):
            cells[i // plan.episodes].outcomes.append(outcome)
            progress.note(outcome.success)
    return cells


def _through_ros(plan: Plan, out: Path | None, films: int) -> partial[Any]:
    from lam_sim.rollouts.through_ros import Filming, RosWork

    filming = None
    if out and films:
        folder = out / "videos"
        folder.mkdir(parents=True, exist_ok=True)
        first = islice(_jobs(plan), min(films, plan.episodes))
        filming = Filming(folder, frozenset(job.seed for job in first), films)
    return partial(RosWork, plan.launched, filming, out / "log" if out else None)


def _jobs(plan: Plan) -> Iterator[EpisodeJob]:
    """Cell by cell, the same seeds in each."""
    from lam_sim.rollouts.rollout import Purpose, episode_seed

    for choice in plan.choices():
        for i in range(plan.episodes):
            yield EpisodeJob(choice, episode_seed(plan.seed, i, Purpose.EVALUATION))


def _report(plan: Plan, cells: list[Cell], out: Path | None) -> None:
    from rich.console import Console

    from lam_sim.rollouts import driven, score

    Console().print(score.rich_table(plan.policy, cells))
    for line in score.failed_seeds(cells):
        print(line)
    told = [c.to_json() for c in cells]
    if plan.ros:
        for cell, said in zip(cells, told, strict=True):
            said["execution"] = driven.execution(cell.outcomes)
            print(f"{cell.task} with {cell.hand}: {driven.sentence(said['execution'])}")
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    results = {"command": "lam eval", **asdict(plan), "cells": told}
    (out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    (out / "results.md").write_text(score.markdown(plan.policy, cells))
    print(f"results: {out / 'results.json'}, {out / 'results.md'}")


def _film(plan: Plan, cells: list[Cell], count: int, out: Path, workers: int) -> None:
    from lam_sim.rollouts.score import FilmingWork

    jobs = _filmed(plan, cells, count)
    folder = out / "videos"
    folder.mkdir(parents=True, exist_ok=True)
    with parallel.Workers(partial(FilmingWork, plan.actor, folder), workers) as crew:
        names = list(crew.ordered(jobs))
    print(f"videos: {len(names)} in {folder}")


def _filmed(plan: Plan, cells: list[Cell], count: int) -> list[tuple[WorldChoice, Outcome]]:
    """The first episodes and the first failures of each cell, none twice."""
    jobs = []
    for choice, cell in zip(plan.choices(), cells, strict=True):
        failures = [outcome for outcome in cell.outcomes if not outcome.success]
        wanted = {o.seed: o for o in [*cell.outcomes[:count], *failures[:count]]}
        jobs += [(choice, outcome) for outcome in wanted.values()]
    return jobs


def _keep_films(plan: Plan, cells: list[Cell], count: int, out: Path) -> None:
    """Workers film their own first failures; only those that are the first of all stay."""
    from lam_sim.rollouts.through_ros import film_name

    jobs = _filmed(plan, cells, count)
    wanted = {film_name(choice, outcome) for choice, outcome in jobs}
    every = {
        film_name(c, o)
        for c, cell in zip(plan.choices(), cells, strict=True)
        for o in cell.outcomes
    }
    for name in every - wanted:
        (out / "videos" / name).unlink(missing_ok=True)
    print(f"videos: {len(wanted)} in {out / 'videos'}")


def _verdict(cells: list[Cell], at_least: float | None) -> int:
    if at_least is None:
        return 0
    short = [cell for cell in cells if cell.rate < at_least]
    for cell in short:
        print(f"{cell.task} with {cell.hand}: {cell.rate:.3f} is below {at_least:g}")
    return 1 if short else 0
