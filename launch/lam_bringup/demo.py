"""`lam demo`: the simulated robot at work, judged and filmed.

Simulator and expert run as processes of demo.launch.xml; this process resets the world, watches the
topics as any ROS client would, and writes what it saw.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lam_models.command import UserError

if TYPE_CHECKING:
    from lam_bringup.demo_report import Outcome, Plan
    from lam_bringup.demo_video import Caption, Recording

SUMMARY = "run the simulated robot for a few episodes and film it"

TASKS = ("pick_place", "stack", "open_drawer")
HANDS = ("parallel_gripper", "five_finger")
START_S, EPISODE_S, STOP_S = 60.0, 60.0, 15.0
FPS = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--episodes", type=int, default=10, help="how many (default 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode (default 0)")
    parser.add_argument("--difficulty", type=float, default=0.5, help="0 to 1 (default 0.5)")
    parser.add_argument(
        "--tasks", nargs="+", default=TASKS, metavar="TASK", help=f"default {' '.join(TASKS)}"
    )
    parser.add_argument(
        "--hands", nargs="+", default=HANDS, metavar="HAND", help=f"default {' '.join(HANDS)}"
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="default out/demo")
    parser.add_argument("--view", action="store_true", help="show the cameras in a window")


def run(args: argparse.Namespace) -> int:
    """Exit code 0 where every episode succeeded."""
    from lam_bringup.demo_report import write_success
    from lam_bringup.demo_view import open_view

    plans = make_plans(args.episodes, args.seed, args.tasks, args.hands)
    view = open_view() if args.view else None
    # A demo must not move a robot that somebody else on the network has.
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started_s = time.monotonic()
    _clear(args.out)
    with launched(args.out / "log") as alive:
        episodes = _run_episodes(plans, args.difficulty, alive, view)
    outcomes = [outcome for outcome, _ in episodes]
    write_success(args.out, outcomes)
    print("writing the video ...", flush=True)
    _write_pictures(args.out, episodes)
    good = sum(outcome.succeeded for outcome in outcomes)
    print(f"{good} of {len(plans)} episodes succeeded in {time.monotonic() - started_s:.0f} s")
    for path in sorted(path for path in args.out.iterdir() if path.is_file()):
        print(f"  {path}")
    return 0 if good == len(plans) else 1


def make_plans(count: int, seed: int, tasks: Sequence[str], hands: Sequence[str]) -> list[Plan]:
    """Episodes over all tasks and hands in turn, each with a seed of its own."""
    from lam_bringup.demo_report import Plan

    if count < 1:
        raise UserError(f"--episodes is {count}; at least 1 is needed")
    return [
        Plan(i + 1, tasks[i % len(tasks)], hands[i % len(hands)], seed + i) for i in range(count)
    ]


@contextlib.contextmanager
def launched(log: Path) -> Iterator[Callable[[], str]]:
    """The demo's nodes for as long as the block runs; yields what is wrong with them, if anything.

    However the block is left, no process is.
    """
    from lam_bringup import process_group
    from lam_bringup.executables import share_directory

    # Set here as in the launch file: this process receives the images.
    profile = str(Path(share_directory("lam_bringup")) / "config" / "fastdds.xml")
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        os.environ.setdefault(name, profile)
    log.mkdir(parents=True)
    # On simulated time a busy machine makes the demo slower, but neither jerky nor worse.
    words = ["launch", "demo.launch.xml", "use_sim_time:=true"]
    command = [sys.executable, "-m", "lam_bringup.cli", *words]
    guard = process_group.Guard()
    process = process_group.start(command, {**os.environ, "ROS_LOG_DIR": str(log.resolve())})
    guard.watch(process.pid)
    output = log / "output.txt"
    reader = threading.Thread(target=_keep_output, args=(process, output), daemon=True)
    reader.start()

    def fault() -> str:
        if process.poll() is None:
            return ""
        reader.join(2.0)
        last = output.read_text().strip().splitlines()[-1:] or ["it said nothing"]
        return f"the nodes ended ({last[0]}); see {log}"

    try:
        yield fault
    finally:
        process_group.send(process.pid, signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        process_group.send(process.pid, signal.SIGKILL)
        process.wait()
        guard.close()


def _keep_output(process: subprocess.Popen[bytes], path: Path) -> None:
    """Write what the launch says to a file; a full pipe would stop it."""
    assert process.stdout and process.stderr
    with path.open("wb", buffering=0) as file:
        errors = threading.Thread(
            target=shutil.copyfileobj, args=(process.stderr, file, 1), daemon=True
        )
        errors.start()
        for line in process.stdout:
            file.write(line)
        errors.join()


def _clear(out: Path) -> None:
    """Make room for this demo's files; only files that a demo writes are removed."""
    out.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out / "log", ignore_errors=True)
    for name in ("demo.mp4", "demo.gif", "contact_sheet.png", "success.json", "success.md"):
        (out / name).unlink(missing_ok=True)


def _run_episodes(
    plans: Sequence[Plan],
    difficulty: float,
    alive: Callable[[], str],
    view: Callable[[str, bytes], None] | None,
) -> list[tuple[Outcome, Recording]]:
    from functools import partial

    from lam_bringup.demo_node import DemoNode
    from lam_bringup.demo_report import Reporter

    episodes = []
    reporter = Reporter(plans)
    with DemoNode(alive, view) as node:
        node.wait_for_simulator(START_S)
        with reporter.showing():
            for plan in plans:
                progress = partial(reporter.running, plan)
                outcome, recording = node.run(plan, difficulty, EPISODE_S, progress)
                reporter.finished(outcome)
                episodes.append((outcome, recording))
    return episodes


def _write_pictures(out: Path, episodes: Sequence[tuple[Outcome, Recording]]) -> None:
    from lam_bringup.demo_video import write_contact_sheet, write_gif, write_mp4

    filmed = [
        (_caption(outcome, len(episodes)), recording)
        for outcome, recording in episodes
        if recording.front and recording.wrist
    ]
    if not filmed:
        return
    write_mp4(out / "demo.mp4", filmed, FPS)
    write_gif(out / "demo.gif", filmed)
    write_contact_sheet(out / "contact_sheet.png", filmed)


def _caption(outcome: Outcome, count: int) -> Caption:
    from lam_bringup.demo_video import Caption

    plan = outcome.plan
    return Caption(
        number=plan.number,
        count=count,
        task=plan.task,
        hand=plan.hand,
        instruction=outcome.instruction,
        seed=plan.seed,
        succeeded=outcome.succeeded,
        elapsed_s=outcome.elapsed_s,
    )
