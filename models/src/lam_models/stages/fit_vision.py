"""A small vision network from the images of datasets alone, without labels.

The folder it writes is a name of `nn.vision.make_vision`, for any system's `vision`; transformers
opens it too. nn/masked_vit.py has the objective. Where the datasets say where hand and objects are,
that is read from the features afterwards, beside those of an untrained network and pixels, on
episodes that nothing was trained on: origin.json keeps the figures.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from lam_models.checkpoint import origin_now
from lam_models.command import UserError
from lam_models.nn.masked_vit import MaskedVit
from lam_models.nn.vision import FrozenDinov2, VitShape
from lam_models.stages.fit_vision_command import FitVision
from lam_models.stages.training.loop import Recipe, train
from lam_models.stages.vision_probe import (
    Scenes,
    as_floats,
    principal_pixels,
    read_positions,
    read_scenes,
)
from lam_models.systems.roles import ClipBatch

Readings = dict[str, dict[str, float]]


class Lesson(nn.Module):
    """The learner as the training loop wants it: clips of one frame."""

    def __init__(self, learner: MaskedVit) -> None:
        super().__init__()
        self.learner = learner

    def loss(self, batch: ClipBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        return self.learner(batch.frames[:, 0])


def fit_vision(settings: FitVision) -> Readings:
    """Train, write the folder, and give what is read from the features, by dataset."""
    check(settings)
    held: list[Scenes] = []
    images: list[np.ndarray] = []
    for path in settings.datasets:
        scenes = read_scenes(path, settings.camera, settings.size)
        images.append(scenes.images[~scenes.held_out])
        held.append(scenes)
    learner = train_on(np.concatenate(images), settings)
    readings = compare(learner, held, settings)
    write(learner, readings, held, settings)
    print(f"\n{settings.out}: read with --set vision={settings.out}")
    return readings


def check(settings: FitVision) -> None:
    """UserError for a place that is taken or sizes that do not fit."""
    if settings.out.exists():
        raise UserError(f"{settings.out} exists already; choose another folder or remove it")
    for name, whole in (("size", settings.size), ("width", settings.width)):
        part = {"size": "patch", "width": "heads"}[name]
        if whole < 1 or whole % getattr(settings, part):
            raise UserError(
                f"--{name} {whole}: not a multiple of --{part} {getattr(settings, part)}"
            )


def shape_of(settings: FitVision) -> VitShape:
    c = settings
    return VitShape(c.width, c.depth, c.heads, c.patch, c.size)


def train_on(images: UInt8[np.ndarray, "n height width 3"], settings: FitVision) -> MaskedVit:
    """A learner after all steps; those of a run stay in <out>.run."""
    torch.manual_seed(settings.seed)
    learner = MaskedVit(shape_of(settings), latents=settings.latents)
    recipe = Recipe(
        settings.steps,
        settings.batch_size,
        settings.learning_rate,
        betas=(0.9, 0.95),
        weight_decay=0.05,
        gradient_clip=1.0,
        warmup_steps=min(60, settings.steps // 4),
        final_rate=0.01,
        seed=settings.seed,
    )

    def batch_at(step: int) -> ClipBatch:
        draw = np.random.default_rng((settings.seed, step))
        rows = draw.integers(0, len(images), settings.batch_size)
        return ClipBatch(as_floats(images[rows])[:, None])

    folder = settings.out.with_name(f"{settings.out.name}.run")
    train(Lesson(learner), batch_at, recipe, folder, resume=settings.resume)
    return learner


def compare(learner: MaskedVit, held: Sequence[Scenes], settings: FitVision) -> Readings:
    """NMSE of the positions, by dataset: read from the trained, an untrained network, pixels."""
    torch.manual_seed(settings.seed + 1)
    networks = {
        "trained": FrozenDinov2(learner.released()),  # pyright: ignore
        "untrained": FrozenDinov2.untrained(shape_of(settings)),
        "pixels": principal_pixels([s.images for s in held], settings.patch, settings.width),
    }
    readings: Readings = {}
    for path, scenes in zip(settings.datasets, held, strict=True):
        for name, network in networks.items():
            for what, error in read_positions(network, scenes, settings.seed).items():
                readings.setdefault(f"{place(path)} {what}", {})[name] = error
    for what, errors in readings.items():
        print(what, *(f"{name} {error:.3f}" for name, error in errors.items()), sep="  ")
    return readings


def write(
    learner: MaskedVit,
    readings: Readings,
    held: Sequence[Scenes],
    settings: FitVision,
) -> None:
    """config.json and model.safetensors as transformers reads them, in fp16, and origin.json."""
    partial = settings.out.with_name(f"{settings.out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    network = learner.released().to(dtype=torch.float16)
    network.save_pretrained(partial)  # pyright: ignore
    origin = origin_now("", "")
    recipe = {k: v for k, v in asdict(settings).items() if k not in ("datasets", "out", "resume")}
    content = {
        "data": {place(p): s.content_hash for p, s in zip(settings.datasets, held, strict=True)},
        "recipe": recipe,
        "nmse_of_positions": readings,
        "git_commit": origin.git_commit,
        "versions": origin.versions,
    }
    (partial / "origin.json").write_text(json.dumps(content, indent=2) + "\n")
    partial.rename(settings.out)


def place(dataset: Path) -> str:
    """A dataset by its last two folders, e.g. distracted/five_finger."""
    return "/".join(dataset.resolve().parts[-2:])
