"""Make a space of hands, or teach one a new hand: from hand files to a space folder.

While it works, the run lies in `<out>.training`: the pose pairs and the training, which can be
resumed. At the end the space folder is written and the run's folder removed.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from lam_models.checkpoint import origin_now
from lam_models.command import UserError
from lam_models.hands.grasp import measure_all
from lam_models.hands.human import draw_subjects
from lam_models.hands.pairs import PosePairs, join_people, load_pairs, make_pairs, save_pairs
from lam_models.hands.space import HandSpace, open_space, save_space
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_file import read_hand, shipped_hands
from lam_models.stages.hand_space import Fitted, Task, join_space, train_space
from lam_models.systems.lad import Config


@dataclass(frozen=True)
class HandsSettings:
    """hands: files or names; of a joining hand exactly one. space: that a hand joins, else None.

    people, poses: drawn for training, and natural poses of each; held_out: people for validation.
    recipe: name of the config, for the record.
    """

    out: Path
    hands: tuple[str, ...]
    config: Config
    recipe: str
    space: Path | None = None
    people: int = 40
    poses: int = 500
    held_out: int = 8
    seed: int = 0
    resume: bool = False
    overwrite: bool = False

    def __post_init__(self) -> None:
        for name in ("people", "poses", "held_out"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}, must be at least 1")
        if self.people * self.poses < self.config.batch_size:
            raise UserError(
                f"{self.people} people x {self.poses} poses are fewer than a batch of "
                f"{self.config.batch_size}"
            )


def fit_hands(settings: HandsSettings) -> Fitted:
    """Make the pairs, train, write the space folder. UserError, or loop.Stopped at a signal."""
    if settings.out.exists() and not settings.overwrite:
        raise UserError(f"{settings.out} exists already; choose another folder or overwrite it")
    folder = settings.out.with_name(settings.out.name + ".training")
    if folder.exists() and not settings.resume:
        raise UserError(
            f"{folder} holds an unfinished run; go on with --resume, or remove it to begin anew"
        )
    hands = [read_hand(name) for name in settings.hands]
    space = None if settings.space is None else open_space(settings.space)
    company = [] if space is None else _company(space, hands[0])
    folder.mkdir(parents=True, exist_ok=True)
    pairs, held_out = _pairs(settings, [*hands, *company], folder)
    task = Task(hands, pairs, held_out, settings.config, folder, settings.seed, settings.resume)
    if space is None:
        fitted = train_space(task, f"hand/{settings.out.name}")
        what = "found"
    else:
        fitted = join_space(task, space)
        what = f"join {hands[0].hand} to {space.latent.name}"
    recipe = (
        f"fit-hands, {what}, recipe {settings.recipe}, seed {settings.seed}, "
        f"{settings.people} people x {settings.poses} poses"
    )
    figures = {
        "self_mm": fitted.metrics["validation/self_mm"],
        "cross_mm": fitted.metrics["validation/loss"],
    }
    origin = origin_now(_content_hash(pairs), recipe, figures)
    save_space(settings.out, measure_all(fitted.space, hands), origin, settings.overwrite)
    shutil.rmtree(folder)
    return fitted


def _company(space: HandSpace, joining: HandSpec) -> list[HandSpec]:
    """The hands of the space whose files come with this package; the human hand is always there."""
    if joining.hand in space.coders:
        raise UserError(
            f"the space '{space.latent.name}' knows a hand '{joining.hand}' already; "
            "give the hand another name, or found a space anew"
        )
    return [read_hand(name) for name in shipped_hands() if name in space.coders]


def _pairs(
    settings: HandsSettings, hands: Sequence[HandSpec], folder: Path
) -> tuple[PosePairs, PosePairs]:
    """Of training people and of others; made once a run."""
    parts = []
    for part, people, seed in (
        ("training", settings.people, settings.seed),
        ("validation", settings.held_out, settings.seed + 500_000),
    ):
        path = folder / f"{part}-pairs.npz"
        if not path.exists():
            save_pairs(path, _retargeted(hands, people, settings.poses, seed, part))
        parts.append(load_pairs(path))
    return parts[0], parts[1]


def _retargeted(
    hands: Sequence[HandSpec], people: int, poses: int, seed: int, part: str
) -> PosePairs:
    """Person by person, so that the bar moves."""
    subjects = draw_subjects(people, seed)
    title = f"retargeting {people} people's poses to {len(hands)} hands for {part}"
    bar = track(
        range(people), title, console=Console(stderr=True), transient=True, disable=people < 2
    )
    return join_people(
        [make_pairs(hands, [subjects[index]], poses, seed + 1000 * index) for index in bar]
    )


def _content_hash(pairs: PosePairs) -> str:
    digest = sha256()
    for name, of in sorted(pairs.vectors.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(of).tobytes())
    return digest.hexdigest()
