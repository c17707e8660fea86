"""A policy that answers late: success, and how its plans fit together.

Each policy runs in the simulated world with a delay of 0 to 400 ms between question and answer, in
simulated time and so exact, through policy_node's own asking, splicing and safety and the hand's
own follower (delay_loop.py). A seam is a beat of the control grid before which an answer came; its
jump is the change of the planned velocity there. Ways: `latest`, `ensemble` and `rtc` with a policy
that learnt chunks which begin at their observation, and `rtc` with one that also learnt those which
begin later (`lam fit-actions --delay`), which is told how late it will be.

    python bench/delay.py --plain DIR --delayed DIR [--space DIR] [--task NAME] [--hand NAME]

Rows measured at this commit stay under out/bench/delay: a run that was stopped goes on with
the next. A quick run without folders takes a policy that stands still: it shows that the script
works.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from itertools import islice
from pathlib import Path

os.environ.setdefault("MUJOCO_GL", "egl")

import matplotlib
import numpy as np
from delay_loop import Loop, Trace, Way

from lam_models.checkpoint import CameraSpec
from lam_models.hands.space import HandSpace, open_space
from lam_models.policy.instant import write_instant
from lam_models.policy.opening import OpenedPolicy, open_policy
from lam_models.policy.shipped import policy_folder
from lam_sim.rollouts.parallel import Workers
from lam_sim.rollouts.rollout import Purpose, episode_seed
from lam_sim.rollouts.wilson import wilson_interval
from lam_sim.table.world import TableWorld, WorldSettings
from lam_sim.tasks import TASKS, task_class
from report import ROOT, Benchmark, Goal, Row, commit, main

matplotlib.use("Agg")

DELAYS_MS = (0, 100, 200, 400)
QUICK_DELAYS_MS = (0, 200)
EPISODES, QUICK_EPISODES, SEED = 50, 2, 2
PLAIN, DELAYED = "plain", "delay-augmented"
WAYS = ((PLAIN, "latest"), (PLAIN, "ensemble"), (PLAIN, "rtc"), (DELAYED, "rtc"))
KEPT_AT_MS = 200


@dataclass(frozen=True)
class Choice:
    """What the command line asked for. episodes: of each row, 0 for the default."""

    folders: Mapping[str, Path]
    space: str
    task: str
    hand: str
    difficulty: float
    episodes: int


def chosen() -> Choice:
    """Take this script's own words off the command line; the rest is every benchmark's."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--plain", type=policy_folder, help="folder of a policy, or shipped")
    parser.add_argument("--delayed", type=policy_folder, help="of one that learnt with --delay")
    parser.add_argument("--space", default="", help="folder of their space of hands")
    parser.add_argument("--task", default="pick_place", choices=sorted(TASKS))
    parser.add_argument("--hand", default="parallel_gripper")
    parser.add_argument("--difficulty", type=float, default=0.0, help="0 (default) to 1")
    parser.add_argument("--episodes", type=int, default=0, help=f"of each row ({EPISODES})")
    own, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    if {"-h", "--help"} & set(rest):
        print(parser.format_help())
    given = {PLAIN: own.plain, DELAYED: own.delayed}
    folders = {name: path for name, path in given.items() if path is not None}
    for path in folders.values():
        if not (path / "origin.json").is_file():
            sys.exit(f"{path} is no folder of a policy: it holds no origin.json")
    return Choice(folders, own.space, own.task, own.hand, own.difficulty, own.episodes)


CHOICE = Choice({}, "", "pick_place", "parallel_gripper", 0.0, 0)


@dataclass(frozen=True)
class Cell:
    """One row of the table."""

    policy: str
    strategy: str
    delay_ms: int


class Player:
    """A worker: plays episodes of cells. limit_s: of each."""

    def __init__(self, choice: Choice, limit_s: float) -> None:
        self._choice, self._limit_s = choice, limit_s
        self._space = open_space(choice.space)

    def __call__(self, job: tuple[Cell, int]) -> Trace:
        """An episode of those that `lam eval` plays."""
        (cell, index), choice = job, self._choice
        way = Way(cell.strategy, cell.delay_ms * 10**6)
        loop = Loop(opened(choice.folders[cell.policy]), self._space, choice.hand, way)
        settings = WorldSettings(choice.task, choice.hand, choice.difficulty)
        world = TableWorld(settings, episode_seed(SEED, index, Purpose.EVALUATION))
        return loop.play(world, self._limit_s)

    def close(self) -> None:
        """Nothing is left open."""


@cache
def opened(path: Path) -> OpenedPolicy:
    import torch

    torch.set_num_threads(1)
    return open_policy(path)


def standing_still(space: HandSpace) -> Path:
    """A policy without a network, for looking whether the script works."""
    path = Path(tempfile.mkdtemp(prefix="delay_")) / "still"
    cameras = (CameraSpec("front", 32, 32), CameraSpec("wrist", 32, 32))
    return write_instant(path, space.latent, cameras)


def measure(quick: bool) -> list[Row]:
    choice, limit_s = CHOICE, task_class(CHOICE.task).time_limit_s
    if not choice.folders:
        if not quick:
            sys.exit(
                "name a policy: --plain DIR, --delayed DIR or both (lam fit-actions makes them)"
            )
        # Nothing can be learnt of a policy that stands still, and every second would cost one.
        still, limit_s = standing_still(open_space(choice.space)), 1.0
        choice = replace(choice, folders={PLAIN: still, DELAYED: still})
    episodes = choice.episodes or (QUICK_EPISODES if quick else EPISODES)
    cells = [
        Cell(name, strategy, delay_ms)
        for name, strategy in WAYS
        if name in choice.folders
        for delay_ms in (QUICK_DELAYS_MS if quick else DELAYS_MS)
    ]
    kept = Path(tempfile.mkdtemp(prefix="delay_")) if quick else ROOT / "out" / "bench" / "delay"
    files = {cell: kept / f"{label(choice, cell)}-{episodes}.json" for cell in cells}
    missing = [cell for cell in cells if not files[cell].exists()]
    jobs = [(cell, index) for cell in missing for index in range(episodes)]
    with Workers(partial(Player, choice, limit_s), os.cpu_count() or 1) as crew:
        traces = crew.ordered(jobs)
        for cell in missing:
            found = row(cell, list(islice(traces, episodes)))
            print(" ".join(f"{key}={value}" for key, value in found.items()), flush=True)
            files[cell].parent.mkdir(parents=True, exist_ok=True)
            files[cell].write_text(json.dumps(found))
    return [json.loads(file.read_text()) for file in files.values()]


def label(choice: Choice, cell: Cell) -> str:
    """What was measured: commit, world, policy and way."""
    origin = (choice.folders[cell.policy] / "origin.json").read_text()
    policy = json.loads(origin)["weights_hash"][:8]
    words = (commit(), choice.task, choice.hand, f"{choice.difficulty:g}", cell.policy, policy)
    return "-".join((*words, cell.strategy, str(cell.delay_ms)))


def row(cell: Cell, traces: list[Trace]) -> Row:
    """What came of a cell."""
    successes = sum(trace.success for trace in traces)
    low, high = wilson_interval(successes, len(traces))
    beats = sum(trace.beats for trace in traces)
    return {
        **asdict(cell),
        "episodes": len(traces),
        "success": successes / len(traces),
        "from": low,
        "to": high,
        "seam_jump_m_s": mean([jump for trace in traces for jump in trace.seam_m_s]),
        "other_jump_m_s": mean([jump for trace in traces for jump in trace.inner_m_s]),
        "held": sum(trace.held for trace in traces) / beats,
        "limited": sum(trace.limited for trace in traces) / beats,
    }


def mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def kept(rows: list[Row], wanted: str = "rtc") -> float:
    """Their best success at KEPT_AT_MS, as a share of the best that any has without delay."""
    best = max(float(r["success"]) for r in rows if r["delay_ms"] == 0)
    late = [r for r in rows if r["delay_ms"] == KEPT_AT_MS and r["strategy"] == wanted]
    return max(float(r["success"]) for r in late) / best if best else 0.0


def draw(rows: list[Row], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for name, strategy in WAYS:
        mine = [r for r in rows if (r["policy"], r["strategy"]) == (name, strategy)]
        if not mine:
            continue
        delays = [float(r["delay_ms"]) for r in mine]
        rates = np.array([100 * float(r["success"]) for r in mine])
        spread = 100 * np.array([[float(r["from"]), float(r["to"])] for r in mine]).T
        style = "--" if name == DELAYED else "-"
        errors = np.abs(spread - rates)
        left.errorbar(
            delays, rates, errors, fmt=f"o{style}", capsize=2, label=f"{strategy}, {name}"
        )
        right.plot(delays, [float(r["seam_jump_m_s"]) for r in mine], f"o{style}")
    left.set(xlabel="delay [ms]", ylabel="success [%]", ylim=(0, 102))
    right.set(xlabel="delay [ms]", ylabel="jump of velocity at seams [m/s]", ylim=(0, None))
    left.legend(fontsize=8)
    figure.savefig(path, dpi=110)


BENCHMARK = Benchmark(
    name="delay",
    summary="Success and seams of plans against the delay of a policy's answers",
    measure=measure,
    draw=draw,
    goals=[
        Goal("share of the success without delay kept at 200 ms by rtc", kept, at_least=0.9),
    ],
    seeds=(SEED,),
)

if __name__ == "__main__":
    CHOICE = chosen()
    main(BENCHMARK)
