"""One cell of label_efficiency.py: a recipe trained, its success in closed loop, its action error.

A cell is a pure function of its Cell and Plan. It is saved as soon as it is measured, and never
measured again.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from report import Row

DISTRACTORS = {"clean": (), "distracted": ("background", "objects", "camera")}
# Of a number, m^2 or of a unit vector: a tenth of a millimetre, and what goes for it.
_LEAST_VARIANCE = 1e-8
_SIZES = ("channels", "blocks", "maps", "glimpses", "width", "depth", "read_out_depth")
# Steps of a chunk that are executed before the next answer, and judged.
STEPS = 8


@dataclass(frozen=True)
class Plan:
    """What is the same in all cells.

    folder: of what is recorded and trained. cells: of what is measured, small files that may be
        committed, so that other machines go on with the rest.
    world, tasks, hand, difficulty: as `lam data generate` takes them. space: folder of a space of
        hands that knows the hand, "" for the shipped one. rate_hz: of the world.
    videos: episodes of a condition, of which the labelled ones are some. held: unseen ones, on
        which the action error is taken. Both are of all tasks together. trials: simulated episodes
        of a cell and task, the same in all cells.
    image: pixels of a side. batch: of a policy; the plain cloner has its preset's of both.
    model, latent, inverse, actions: steps of training of each stage.
    """

    folder: str
    cells: str
    preset: str
    world: str
    tasks: tuple[str, ...]
    hand: str
    difficulty: float
    space: str
    rate_hz: float
    videos: int
    held: int
    trials: int
    image: int
    batch: int
    model: int
    latent: int
    inverse: int
    actions: int


@dataclass(frozen=True)
class Cell:
    recipe: str
    condition: str
    labels: int
    seed: int


def data_of(plan: Plan, condition: str, part: str = "videos") -> Path:
    return Path(plan.folder) / condition / part


def place_of(plan: Plan, cell: Cell) -> Path:
    name = f"{cell.recipe}-{cell.labels}-{cell.seed}.json"
    return Path(plan.cells) / cell.condition / name


def work_of(plan: Plan, cell: Cell) -> Any:
    from lam_models.recipes import Steps, Work

    preset: Any = plan.preset
    return Work(
        data=data_of(plan, cell.condition),
        folder=Path(plan.folder) / cell.condition / "made",
        episodes=cell.labels,
        seed=cell.seed,
        preset=preset,
        steps=Steps(plan.model, plan.latent, plan.inverse, plan.actions),
        space=plan.space,
        policy=policy_of(plan),
        model={"gap_s": 0.25},
        inverse={"dt_s": 1.0 / plan.rate_hz},
    )


def policy_of(plan: Plan) -> dict[str, Any]:
    """Fields of the policies' Config: eyes and backbone of the plain cloner's size.

    The first camera moves, so it is not calibrated, and both are seen whole: where places are found
    by calibration, pictures teach nothing else, and so would video of pictures alone.
    """
    from lam_models.policy.slot_config import Config
    from lam_models.strict_json import to_json

    small = to_json(Config.cloner())
    return {
        "cameras": ["wrist", "front"],
        "image_size": plan.image,
        "batch_size": plan.batch,
        "dt_s": 1.0 / plan.rate_hz,
        **{name: small[name] for name in _SIZES},
    }


def pretrain(plan: Plan, cell: Cell) -> str:
    """What the cells of one system share; the labels of `cell` do not matter."""
    import torch

    from lam_models.recipes import PRETRAINED, pretrained

    torch.set_num_threads(1)
    started_s = time.monotonic()
    pretrained(work_of(plan, cell), PRETRAINED[cell.recipe])
    seconds = time.monotonic() - started_s
    return f"video for {cell.recipe}, {cell.condition}, seed {cell.seed}: {seconds:.0f} s"


def run(plan: Plan, cell: Cell) -> str:
    """Train and measure, and save the row."""
    import torch

    from lam_models.recipes import find

    torch.set_num_threads(1)
    started_s = time.process_time()
    policy = find(cell.recipe)(work_of(plan, cell))
    row: Row = {
        **asdict(cell),
        **action_errors(plan, cell, policy),
        **successes(plan, cell, policy),
    }
    row["cpu_s"] = round(time.process_time() - started_s, 1)
    place = place_of(plan, cell)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_suffix(".partial")
    partial.write_text(json.dumps(row, indent=1) + "\n")
    partial.rename(place)
    return f"{cell}: success {row['success']:.2f}, action NMSE {row['nmse']:.2f}"


def successes(plan: Plan, cell: Cell, policy: Path) -> Row:
    """Of the plan's trials of each task, on scenes that no dataset has."""
    from lam_models.policy.opening import open_policy
    from lam_sim.rollouts.policy_actor import PolicyFolder
    from lam_sim.rollouts.rollout import Purpose, episode_seed
    from lam_sim.rollouts.score import EvaluationWork
    from lam_sim.worlds import EpisodeJob, WorldChoice

    seeds = [episode_seed(0, i, Purpose.EVALUATION) for i in range(plan.trials)]
    steps = min(STEPS, open_policy(policy).spec.chunk_steps)
    work = EvaluationWork(PolicyFolder(str(policy), plan.space, steps))
    held: dict[str, int] = {}
    try:
        for task in plan.tasks:
            names = DISTRACTORS[cell.condition]
            choice = WorldChoice(plan.world, task, plan.hand, plan.difficulty, names)
            held[task] = sum(work(EpisodeJob(choice, seed)).success for seed in seeds)
    finally:
        work.close()
    total, trials = sum(held.values()), len(held) * len(seeds)
    of_tasks = {f"successes {task}": count for task, count in held.items() if len(held) > 1}
    return {"successes": total, "trials": trials, "success": total / trials, **of_tasks}


def action_errors(plan: Plan, cell: Cell, policy: Path, rows: int = 300) -> Row:
    """Square errors of the steps that would be executed, on unseen episodes.

    nmse: of translations; nmse_hand: of hand latents; as shares of these numbers' own variance.
    """
    from lam_models.hands.space import open_space
    from lam_models.policy.opening import open_policy
    from lam_models.stages.demonstrations import Wanted, open_demonstrations

    opened = open_policy(policy)
    spec, size = opened.spec, opened.spec.cameras[0].height
    cameras = tuple(camera.name for camera in spec.cameras)
    steps = min(STEPS, spec.chunk_steps)
    space = open_space(plan.space)
    wanted = Wanted(cameras, size, 1.0 / spec.rate_hz, steps, space, plan.hand)
    held = open_demonstrations(data_of(plan, cell.condition, "held"), wanted)
    chosen = np.unique(np.linspace(0, len(held.lasts) - 1, rows).astype(np.int64))
    true = held.chunks(chosen, steps, np.zeros(len(chosen), np.int64))
    found = np.empty_like(true)
    for i, row in enumerate(chosen):
        chunk = opened.policy.act(seen(held, cameras, int(row)))
        found[i] = np.concatenate([chunk.delta_ee, chunk.hand], axis=1)[:steps]
    return {
        "nmse": _share(found, true, slice(0, 3)),
        "nmse_hand": _share(found, true, slice(6, None)),
    }


def seen(held: Any, cameras: tuple[str, ...], row: int) -> Any:
    """A row of a dataset as a robot would see it."""
    from lam_models.data.sources import STATE
    from lam_models.policy.inputs import EE, EE_NAMES
    from lam_models.types import Frame, Observation

    pixels = held.pixels(np.array([row]))[0]
    frames = {name: Frame(np.array(image), 0) for name, image in zip(cameras, pixels, strict=True)}
    cache = held.caches[0]
    columns = [cache.names[STATE].index(name) for name in EE_NAMES]
    ee = np.asarray(cache.column(STATE)[row], np.float64)[columns]
    return Observation(0, frames, {EE: ee}, cache.instructions[held.episode_of[row]])


def _share(found: np.ndarray, true: np.ndarray, part: slice) -> float:
    """Of a task in which these numbers hardly change, of the least change instead."""
    found, true = found[..., part], true[..., part]
    spread = np.square(true - true.mean((0, 1))).mean()
    return round(float(np.square(found - true).mean() / max(spread, _LEAST_VARIANCE)), 5)
