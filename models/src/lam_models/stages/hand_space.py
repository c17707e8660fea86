"""Train a space of hands from pose pairs: LAD's stages 2 and 3, and a hand that joins later."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import nn

from lam_models.hands.kinematics import Kinematics, open_kinematics
from lam_models.hands.pairs import PosePairs
from lam_models.hands.space import (
    HUMAN,
    Coder,
    HandSpace,
    Layers,
    Modality,
    founded,
    hand_modality,
    human_modality,
)
from lam_models.hands.spec import HandSpec
from lam_models.hands.transfer import cross_errors_m
from lam_models.stages.training.loop import Recipe, Trained, recipe_of, train
from lam_models.systems.lad import Alignment, Coding, Config, Joining, JoiningBatch, Lad, PoseBatch

_VALIDATED = 300  # Poses that a validation looks at.


@dataclass(frozen=True)
class Fitted:
    """A space and what its training logged last."""

    space: HandSpace
    metrics: dict[str, float]


@dataclass(frozen=True)
class Task:
    """What is trained: hands, their pairs, and how.

    held_out: pairs of other people, for validation. folder: where the run lives.
    """

    hands: Sequence[HandSpec]
    pairs: PosePairs
    held_out: PosePairs
    config: Config
    folder: Path
    seed: int = 0
    resume: bool = False


def train_space(task: Task, name: str) -> Fitted:
    """A new space, called `name`, of the human hand and these."""
    modalities = [human_modality(), *(hand_modality(spec) for spec in task.hands)]
    lad = _make_lad(task, modalities)
    batches = Batches(task, modalities)
    config = task.config
    # Temperature falls to its end; the rate need not.
    recipe = dataclasses.replace(_recipe(task), steps=config.align_steps, final_rate=1.0)
    train(Alignment(lad), batches.at, recipe, task.folder / "align", resume=task.resume)

    def space() -> HandSpace:
        coders = _coders(lad)
        latent = founded(name, config.latent_dim, coders)
        return HandSpace(latent, coders, dataclasses.asdict(config))

    trained = _train(Coding(lad), batches.at, task, space, "code")
    return Fitted(space(), trained.metrics)


def join_space(task: Task, space: HandSpace) -> Fitted:
    """The space with one hand more; its latents and its name stay what they are."""
    (spec,) = task.hands
    modality = hand_modality(spec)
    lad = _make_lad(task, [modality])
    known = [name for name in task.pairs.vectors if name in space.coders and name != spec.hand]
    latents = [space.coder(name).encode(task.pairs.vectors[name]) for name in known]
    heard = np.stack(latents, axis=1).astype(np.float32)
    batches = Batches(task, [modality], known, heard)

    def joined() -> HandSpace:
        return dataclasses.replace(space, coders={**space.coders, **_coders(lad)})

    trained = _train(Joining(lad), batches.at, task, joined, "join")
    return Fitted(joined(), trained.metrics)


def _recipe(task: Task) -> Recipe:
    often = {"log_every": 50, "validate_every": max(1, task.config.steps // 8)}
    return recipe_of(task.config, seed=task.seed, precision="fp32", checkpoint_every=1000, **often)


def _train(
    model: nn.Module,
    batch_at: Callable[[int], Any],
    task: Task,
    space: Callable[[], HandSpace],
    part: str,
) -> Trained:
    kinematics = {spec.hand: open_kinematics(spec) for spec in task.hands}
    some = task.held_out.take(np.linspace(0, len(task.held_out) - 1, _VALIDATED).astype(int))

    def validate(_: object) -> Mapping[str, float]:
        return _millimetres(space(), some, kinematics)

    folder = task.folder / part
    return train(model, batch_at, _recipe(task), folder, validate=validate, resume=task.resume)


def _millimetres(
    space: HandSpace, pairs: PosePairs, kinematics: Mapping[str, Kinematics]
) -> dict[str, float]:
    errors = cross_errors_m(space, pairs, kinematics)
    own = [np.median(of) for (source, target), of in errors.items() if source == target]
    cross = [np.median(of) for (source, target), of in errors.items() if source != target]
    return {"self_mm": 1e3 * float(np.mean(own)), "loss": 1e3 * float(np.mean(cross))}


def _make_lad(task: Task, modalities: Sequence[Modality]) -> Lad:
    torch.manual_seed(task.seed)
    centers, scales = zip(*(_normal(m, task.pairs) for m in modalities), strict=True)
    parts = (torch.from_numpy(np.concatenate(of)) for of in (centers, scales))
    return Lad(task.config, modalities, *parts)


def _normal(modality: Modality, pairs: PosePairs) -> tuple[np.ndarray, np.ndarray]:
    """Centre and scale of a hand's vector: of its limits, or of people's poses."""
    if modality.name == HUMAN:
        vectors = pairs.vectors[HUMAN]
        center, scale = vectors.mean(0), vectors.std(0)
    else:
        lower, upper = np.array(modality.lower), np.array(modality.upper)
        center, scale = (lower + upper) / 2.0, (upper - lower) / 2.0
    return center.astype(np.float32), np.maximum(scale, 1e-4).astype(np.float32)


class Batches:
    """Rows of the pairs drawn anew at each step, a function of the seed and the step.

    heard: the hands whose latents are decoded, if they are not those that learn, and these.
    """

    def __init__(
        self,
        task: Task,
        modalities: Sequence[Modality],
        heard: Sequence[str] = (),
        latents: Float32[np.ndarray, "poses hands dim"] | None = None,
    ) -> None:
        pairs, names = task.pairs, [modality.name for modality in modalities]
        squares = [pairs.closeness[name] for name in names if name != HUMAN]
        self._vectors = torch.from_numpy(np.concatenate([pairs.vectors[n] for n in names], axis=1))
        self._closeness = torch.from_numpy(np.concatenate(squares, axis=1))
        self._latents = None if latents is None else torch.from_numpy(latents)
        self._grasps = pairs.grasps
        self._size, self._seed = task.config.batch_size, task.seed
        self._audible = [_audible(pairs, list(heard or names), name) for name in names]

    def at(self, step: int) -> PoseBatch:
        rows = self.rows(step)
        sources = torch.from_numpy(self._sources(step, rows))
        batch = PoseBatch(self._vectors[rows], self._closeness[rows], sources)
        if self._latents is None:
            return batch
        return JoiningBatch(batch.vectors, batch.closeness, batch.sources, self._latents[rows])

    def rows(self, step: int) -> Int64[np.ndarray, " rows"]:
        """Of the pairs."""
        rng = np.random.default_rng([self._seed, step])
        return rng.choice(len(self._vectors), self._size, replace=False)

    def _sources(
        self, step: int, rows: Int64[np.ndarray, " rows"]
    ) -> Int64[np.ndarray, "rows hands"]:
        """Another hand for each; a gripper only where its opening means something."""
        rng, columns = np.random.default_rng([self._seed, step, 1]), []
        for fingered, every in self._audible:
            some, any_ = rng.choice(fingered, len(rows)), rng.choice(every, len(rows))
            columns.append(np.where(self._grasps[rows], any_, some))
        return np.stack(columns, axis=1)


def _audible(
    pairs: PosePairs, hands: Sequence[str], name: str
) -> tuple[Int64[np.ndarray, " fingered"], Int64[np.ndarray, " every"]]:
    """Numbers of the hands that another one hears: those with fingers, and all."""
    every = [index for index, hand in enumerate(hands) if hand != name]
    fingered = [index for index in every if pairs.vectors[hands[index]].shape[1] > 1]
    return np.array(fingered or every), np.array(every)


def _coders(lad: Lad) -> dict[str, Coder]:
    centers, scales = (of.split(lad.sizes) for of in (lad.center, lad.scale))
    return {
        modality.name: Coder(
            modality,
            centers[index].cpu().numpy(),
            scales[index].cpu().numpy(),
            _layers(lad.encoders[modality.name]),
            _layers(lad.decoders[modality.name]),
        )
        for index, modality in enumerate(lad.modalities)
    }


def _layers(network: nn.Module) -> Layers:
    return tuple(
        (layer.weight.detach().cpu().numpy().copy(), layer.bias.detach().cpu().numpy().copy())
        for layer in network.modules()
        if isinstance(layer, nn.Linear)
    )
