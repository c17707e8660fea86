"""`lam data generate`: demonstrations of the scripted expert as a LeRobot v3 dataset.

Worker processes simulate, render and encode whole episodes; this process appends them in the order
of their index. An episode depends on (seed, index) alone, so the dataset does not depend on the
number of workers, and the same command writes the same dataset again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lam_models.command import UserError
from lam_sim.metaworld import venv as metaworld_venv
from lam_sim.rollouts import parallel
from lam_sim.rollouts.ledger import Ledger
from lam_sim.worlds import DEFAULT_KIND, KINDS, EpisodeJob, WorldChoice, kind_named, selection, some

if TYPE_CHECKING:
    from lam_sim.rollouts.recording import RecordingSettings

SUMMARY = "record demonstrations of the scripted expert as a LeRobot dataset"


@dataclass(frozen=True)
class Plan:
    """One dataset: what to record and where. Its fields but `out` go into its origin.json."""

    out: Path
    kind: str
    tasks: tuple[str, ...]
    hand: str
    episodes: int
    distractors: tuple[str, ...]
    difficulty: float
    noise_m: float
    linger_s: float
    human: bool
    seed: int
    cameras: str
    size: int
    fps: int | None
    with_actions: bool
    only_successes: bool
    codec: str
    actor: str

    def choice(self, task: str) -> WorldChoice:
        """The world of a task."""
        return WorldChoice(
            self.kind, task, self.hand, self.difficulty, self.distractors, self.human
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--task",
        default=None,
        help="names joined by commas, or all (without place_crate); equal shares of the episodes, "
        "one after the other (default: the first task of the world)",
    )
    add(
        "--hand",
        default=None,
        help="names joined by commas, or all. Hands differ in the size of their actions, so "
        "several hands give one dataset each, OUT/<hand> (default: the first hand of the world)",
    )
    add("--distractors", default="none", help="names joined by commas, all or none")
    add("--difficulty", type=float, default=0.5, help="0 easy to 1 hard (default %(default)s)")
    add(
        "--noise",
        type=float,
        default=0.006,
        help="m; disturbs what is executed, not what is recorded, so that recoveries are shown "
        "(standard deviation per axis and action, default %(default)s)",
    )
    add(
        "--linger",
        type=float,
        default=0.5,
        help="s; how long an episode goes on after its success, so that it ends at rest "
        "(default %(default)s)",
    )
    add(
        "--carried",
        action="store_true",
        help="the expert closes a gripper, and the shared space of hands carries that to the hand, "
        "as teleoperation through latents would (default: the hand's own postures)",
    )
    add("--human", action="store_true", help="vary the body per episode; hands look human")
    add("--world", default=DEFAULT_KIND, help=f"{' or '.join(KINDS)} (default %(default)s)")
    add("--seed", type=int, default=0, help="default %(default)s")
    _add_recording(parser)


def _add_recording(parser: argparse.ArgumentParser) -> None:
    """What is kept of what happens, and where."""
    add = parser.add_argument
    add("--episodes", type=int, default=100, help="of each dataset (default %(default)s)")
    add("--out", type=Path, required=True, help="folder to write; must not exist")
    add("--overwrite", action="store_true", help="replace a dataset at OUT once the new is whole")
    add("--without-actions", action="store_true", help="video only: no states, no actions")
    add("--only-successes", action="store_true", help="leave failed episodes out")
    add(
        "--cameras",
        default="all",
        help="names joined by commas; what is not drawn takes no time (default %(default)s)",
    )
    add("--size", type=int, default=128, help="image side in pixels (default %(default)s)")
    add("--fps", type=int, default=None, help="a divisor of the control rate (default: that rate)")
    add("--codec", default="h264", help="h264 (fast) or av1 (LeRobot's own; default %(default)s)")
    add("--workers", default="auto", help="processes, or auto: one a core (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    if metaworld_venv.needed(args.world):
        metaworld_venv.continue_there("lam_sim.rollouts.generate", args)
    parallel.one_thread_each()
    plans = _plans(args)
    workers = parallel.worker_count(args.workers)
    plan = plans[0]
    try:
        with parallel.terminated_like_interrupted():
            for plan in plans:
                with _place(plan.out, args.overwrite):
                    _write_dataset(plan, workers)
    except KeyboardInterrupt:
        print(f"interrupted: {plan.out} was not written")
        return 130
    return 0


def _plans(args: argparse.Namespace) -> list[Plan]:
    """One plan a hand; UserError for whatever cannot be."""
    from lam_models.data.video import codec_named

    for name, low in (("episodes", 1), ("size", 16), ("seed", 0), ("noise", 0.0), ("linger", 0.0)):
        if getattr(args, name) < low:
            raise UserError(f"--{name} is {getattr(args, name)}; allowed: {low} or more")
    if args.size % 2:
        raise UserError(f"--size is {args.size}; video needs an even number")
    codec_named(args.codec)
    kind = kind_named(args.world)
    hands = some("hand", args.hand or kind.hands()[0], kind.hands())
    tasks = some("task", args.task or kind.tasks()[0], kind.tasks())
    if args.episodes < len(tasks):
        raise UserError(f"--episodes is {args.episodes}, too few for {len(tasks)} tasks")
    out = Path(args.out)
    plans = [
        Plan(
            out=out / hand if len(hands) > 1 else out,
            kind=args.world,
            tasks=tasks,
            hand=hand,
            episodes=args.episodes,
            distractors=selection("distractor", args.distractors, kind.distractors()),
            difficulty=args.difficulty,
            noise_m=args.noise,
            linger_s=args.linger,
            human=args.human,
            seed=args.seed,
            cameras=args.cameras,
            size=args.size,
            fps=args.fps,
            with_actions=not args.without_actions,
            only_successes=args.only_successes,
            codec=args.codec,
            actor="carried" if args.carried else "expert",
        )
        for hand in hands
    ]
    for plan in plans:
        _check_place(plan.out, args.overwrite)
    return plans


def _check_place(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not overwrite:
        raise UserError(f"{out} exists already: choose another --out, or --overwrite it")
    if not (out / "meta" / "info.json").exists():
        raise UserError(f"{out} is not a dataset: --overwrite leaves it alone")


@contextlib.contextmanager
def _place(out: Path, overwrite: bool) -> Iterator[None]:
    """Move a dataset that is to be replaced aside, and back if the new one fails."""
    if not (overwrite and out.exists()):
        yield
        return
    old = out.with_name(out.name + ".old")
    if old.exists():
        raise UserError(f"{old} is in the way: remove it first")
    out.rename(old)
    try:
        yield
    except BaseException:
        old.rename(out)
        raise
    shutil.rmtree(old)


def _write_dataset(plan: Plan, workers: int) -> None:
    from lam_models.data.lerobot_write import DatasetWriter
    from lam_sim.rollouts.progress import episodes_progress
    from lam_sim.rollouts.recording import RecordingWork

    settings = _recording_settings(plan)
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    ledger = Ledger(plan.tasks, plan.episodes, plan.only_successes)
    with (
        DatasetWriter(plan.out, settings.schema, plan.codec) as writer,
        parallel.Workers(partial(RecordingWork, settings), min(workers, plan.episodes)) as crew,
        episodes_progress(str(plan.out), plan.episodes) as progress,
    ):
        for recording in crew.ordered(_attempts(plan, ledger)):
            kept = ledger.note(recording.task, recording.outcome.success)
            if kept:
                writer.append(recording.episode)
            progress.note(recording.outcome.success, kept)
    _write_origin(plan, ledger)
    print(f"{plan.out}: {progress.summary()}")


def _attempts(plan: Plan, ledger: Ledger) -> Iterator[EpisodeJob]:
    """Jobs task by task. The ledger, which learns of results later, ends a task's attempts."""
    from lam_sim.rollouts.rollout import Purpose, episode_seed

    for task in plan.tasks:
        for i in range(ledger.most(task)):
            if not ledger.wants(task):
                break
            yield EpisodeJob(plan.choice(task), episode_seed(plan.seed, i, Purpose.DATA))


def _recording_settings(plan: Plan) -> RecordingSettings:
    from lam_sim.rollouts.recording import RecordingSettings, dataset_schema

    kind = kind_named(plan.kind)
    worlds = [kind.make(plan.choice(task)) for task in plan.tasks]
    control_hz = round(worlds[0].control_hz)
    fps = plan.fps or control_hz
    if fps <= 0 or control_hz % fps:
        raise UserError(f"--fps is {fps}; allowed: divisors of the control rate, {control_hz} Hz")
    repeat = control_hz // fps
    try:
        cameras = some("camera", plan.cameras, worlds[0].cameras)
        schema = dataset_schema(worlds, cameras, plan.size, repeat, plan.with_actions)
    finally:
        for world in worlds:
            world.close()
    disturbed = (plan.noise_m, plan.linger_s)
    return RecordingSettings(schema, repeat, *disturbed, plan.codec, plan.actor)


def _write_origin(plan: Plan, ledger: Ledger) -> None:
    """How the dataset came about, beside LeRobot's own files; the same for the same command."""
    import mujoco
    import numpy as np

    fields = {key: value for key, value in asdict(plan).items() if key != "out"}
    versions = {"mujoco": mujoco.__version__, "numpy": np.__version__}
    versions["python"] = platform.python_version()
    content = {
        "command": "lam data generate",
        **fields,
        "attempts": ledger.attempts,
        "successes": ledger.successes,
        "versions": versions,
    }
    path = plan.out / "origin.json"
    partial_path = path.with_name("origin.json.partial")
    partial_path.write_text(json.dumps(content, indent=2) + "\n")
    partial_path.replace(path)
