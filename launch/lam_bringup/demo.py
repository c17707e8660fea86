"""`lam demo`: the simulated robot at work, judged and filmed.

A policy drives it, or the scripted expert. All nodes are processes of a launch; this process resets
the world, tells the policy what to do, watches the topics as any ROS client would, and writes what
it saw.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lam_bringup.demo_driver import Driver
    from lam_bringup.demo_report import Outcome, Plan
    from lam_bringup.demo_video import Caption, Recording

SUMMARY = "run the simulated robot for a few episodes and film it"

# Wall time: on a busy machine a simulated second takes several.
START_S, EPISODE_S = 60.0, 300.0
FPS = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from lam_bringup.demo_driver import EXPERT
    from lam_models.policy.shipped import SHIPPED

    parser.add_argument(
        "--policy",
        default=SHIPPED,
        metavar="FOLDER",
        help="a policy's folder, shipped (the default) or expert, which is scripted",
    )
    parser.add_argument("--episodes", type=int, default=10, help="how many (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode (default 0)")
    parser.add_argument(
        "--difficulty", type=float, help=f"0 to 1 (default 0; expert {EXPERT.difficulty:g})"
    )
    names = f"(default all five; expert {', '.join(EXPERT.tasks)})"
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help=f"in turn {names}")
    names = f"(default {', '.join(EXPERT.hands)})"
    parser.add_argument("--hands", nargs="+", metavar="HAND", help=f"in turn {names}")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="default out/demo")
    parser.add_argument("--view", action="store_true", help="show the cameras in a window")


def run(args: argparse.Namespace) -> int:
    """Exit code 0 where enough episodes succeeded: half of a policy's, all of the expert's."""
    from lam_bringup.demo_driver import driver_named
    from lam_bringup.demo_report import write_success
    from lam_bringup.demo_view import open_view

    driver = driver_named(args.policy)
    tasks, hands = args.tasks or driver.tasks, args.hands or driver.hands
    plans = driver.plans(args.episodes, args.seed, tasks, hands)
    difficulty = driver.difficulty if args.difficulty is None else args.difficulty
    view = open_view() if args.view else None
    # A demo must not move a robot that somebody else on the network has.
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started_s = time.monotonic()
    _clear(args.out)
    episodes = _run_episodes(args.out / "log", driver, plans, difficulty, view)
    outcomes = [outcome for outcome, _ in episodes]
    write_success(args.out, outcomes, str(driver.policy or driver.name))
    print("writing the video ...", flush=True)
    _write_pictures(args.out, driver.name, episodes)
    good, needed = sum(outcome.succeeded for outcome in outcomes), driver.needed(len(plans))
    took_s = time.monotonic() - started_s
    print(f"{good} of {len(plans)} episodes succeeded in {took_s:.0f} s (needed: {needed})")
    for path in sorted(path for path in args.out.iterdir() if path.is_file()):
        print(f"  {path}")
    return 0 if good >= needed else 1


def _clear(out: Path) -> None:
    """Make room for this demo's files; only files that a demo writes are removed."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out / "log", ignore_errors=True)
    for name in ("demo.mp4", "demo.gif", "contact_sheet.png", "success.json", "success.md"):
        (out / name).unlink(missing_ok=True)


def _run_episodes(
    log: Path,
    driver: Driver,
    plans: Sequence[Plan],
    difficulty: float,
    view: Callable[[str, bytes], None] | None,
) -> list[tuple[Outcome, Recording]]:
    from functools import partial

    from lam_bringup.demo_launch import launched
    from lam_bringup.demo_node import DemoNode
    from lam_bringup.demo_report import Reporter

    episodes = []
    reporter = Reporter(plans)
    with reporter.showing():
        for i, (words, its_plans) in enumerate(driver.launches(plans), 1):
            with (
                launched(words, log / str(i)) as alive,
                DemoNode(alive, view, with_policy=driver.policy is not None) as node,
            ):
                node.wait_until_ready(START_S)
                for plan in its_plans:
                    progress = partial(reporter.running, plan)
                    outcome, recording = node.run(plan, difficulty, EPISODE_S, progress)
                    reporter.finished(outcome)
                    episodes.append((outcome, recording))
    return episodes


def _write_pictures(out: Path, driver: str, episodes: Sequence[tuple[Outcome, Recording]]) -> None:
    from lam_bringup.demo_video import write_contact_sheet, write_gif, write_mp4

    filmed = [
        (_caption(outcome, driver, len(episodes)), recording)
        for outcome, recording in episodes
        if recording.front and recording.wrist
    ]
    if not filmed:
        return
    write_mp4(out / "demo.mp4", filmed, FPS)
    write_gif(out / "demo.gif", filmed)
    write_contact_sheet(out / "contact_sheet.png", filmed)


def _caption(outcome: Outcome, driver: str, count: int) -> Caption:
    from lam_bringup.demo_video import Caption

    plan = outcome.plan
    return Caption(
        number=plan.number,
        count=count,
        task=plan.task,
        hand=plan.hand,
        driver=driver,
        instruction=outcome.instruction,
        seed=plan.seed,
        succeeded=outcome.succeeded,
        elapsed_s=outcome.elapsed_s,
    )
