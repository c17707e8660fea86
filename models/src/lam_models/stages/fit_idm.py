"""Train an inverse-dynamics model on a few labelled episodes: from settings to its folder.

The folder says in stats.json ("labelled") which episodes of which data it learnt of. While it
trains, the run lies in `<out>.training` (see training/loop.py).
"""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lam_models.checkpoint import CameraSpec, Checkpoint, Spec, origin_now, write
from lam_models.command import UserError, unknown
from lam_models.data.split import evenly_spread, split_episodes
from lam_models.hands.space import HandSpace, open_space
from lam_models.policy.inverse import Config, Inverse
from lam_models.policy.readouts import DELTA
from lam_models.stages.demonstrations import Demonstrations, Wanted, open_demonstrations
from lam_models.stages.fit_data import Ahead
from lam_models.stages.fit_idm_settings import IDM_PRESETS, IdmSettings
from lam_models.stages.idm_data import PairData
from lam_models.stages.opening import as_array, configure
from lam_models.stages.run_facts import keep_facts
from lam_models.stages.training.journal import METRICS, TIMINGS
from lam_models.stages.training.loop import Trained, mean_loss, recipe_of, train
from lam_models.stages.training.trainer import place
from lam_models.strict_json import to_json

KIND = "inverse"
LABELLED = "labelled"
_SHOWN = ("loss", "validation/loss", "validation/position_mm", "training_s")


@dataclass(frozen=True)
class _Material:
    """used: indices of the labelled episodes in the dataset."""

    one: Demonstrations
    space: HandSpace
    used: tuple[int, ...]
    data: PairData


def fit_idm(settings: IdmSettings) -> Path:
    """Train and write the folder `settings.out`.

    Raises UserError for what cannot be trained, loop.Stopped where a signal interrupts: resume it.
    """
    if settings.out.exists() and not settings.overwrite:
        raise UserError(f"{settings.out} exists already; choose another folder or overwrite it")
    here = place()
    with here.main_process_first():
        config, material = _prepared(settings)
    recipe = recipe_of(config, seed=settings.seed, precision=settings.precision)
    recipe = dataclasses.replace(
        recipe,
        log_every=min(50, max(1, recipe.steps // 20)),
        validate_every=max(1, recipe.steps // 10),
    )
    folder = settings.out.with_name(settings.out.name + ".training")
    if here.is_main_process:
        content = {k: v for k, v in to_json(config).items() if k != "steps"}
        facts = {"config": content, "data": material.one.content_hash, "episodes": material.used}
        keep_facts(folder, to_json(facts), settings.resume)
    torch.manual_seed(settings.seed)
    model, data = Inverse(config), material.data
    assert material.one.actions is not None
    known = torch.from_numpy(material.one.actions[data.learnt][:, :DELTA])
    model.units.standardise(known.mean(0), known.std(0))
    if model.poses is not None:
        positions = torch.from_numpy(material.one.features[data.learnt][:, :3])
        model.poses.units.standardise(positions.mean(0), positions.std(0))
    if here.is_main_process:
        print(
            f"inverse dynamics of {sum(p.numel() for p in model.parameters()):,} parameters, "
            f"{data.count} pairs of {len(material.used)} episodes, {len(data.held)} pairs for "
            f"validation, {recipe.steps} steps of {recipe.batch_size}",
            flush=True,
        )
    validate = mean_loss(lambda: data.validation_batches(recipe, here)) if len(data.held) else None
    with Ahead(lambda step: data.batch_at(step, recipe, here)) as batch_at:
        trained = train(model, batch_at, recipe, folder, validate=validate, resume=settings.resume)
    if here.is_main_process:
        _write(settings, config, material, trained, folder)
    here.wait_for_everyone()
    return settings.out


def _prepared(settings: IdmSettings) -> tuple[Config, _Material]:
    fields = [entry.name for entry in dataclasses.fields(Config)]
    for name in settings.changes:
        if name not in fields:
            raise unknown("setting", name, fields)
    if settings.preset not in IDM_PRESETS:
        raise unknown("preset", settings.preset, IDM_PRESETS)
    space = open_space(settings.space)
    given = {name: getattr(settings, name) for name in ("steps", "batch_size", "learning_rate")}
    changes = {k: v for k, v in given.items() if v is not None} | dict(settings.changes)
    preset = getattr(Config, settings.preset)()
    whole = to_json(preset) | to_json(changes) | {"latent_dim": space.dim}
    config: Config = configure(Inverse, whole, "--set")
    wanted = Wanted(
        cameras=config.cameras,
        image_size=config.image_size,
        dt_s=config.dt_s,
        chunk_steps=config.gap_steps,
        space=space,
        hand=settings.hand,
        cache=settings.cache,
    )
    one = open_demonstrations(settings.dataset, wanted)
    config = dataclasses.replace(config, poses=config.poses and one.has_state)
    words = one.caches[0].instructions
    used = evenly_spread(len(words), settings.episodes)
    learnt, held = split_episodes([words[i] for i in used], settings.validation, settings.seed)
    parts = ([int(i) for i in used[part]] for part in (learnt, held))
    data = PairData.of(one, *parts, gap_steps=config.gap_steps)
    indices = tuple(one.caches[0].episodes[i].index for i in used)
    return config, _Material(one, space, indices, data)


def _write(
    settings: IdmSettings, config: Config, material: _Material, trained: Trained, folder: Path
) -> None:
    metrics = {k: v for k, v in trained.metrics.items() if k not in TIMINGS}
    metrics["training_s"] = trained.seconds
    size, used = config.image_size, material.used
    recipe = (
        f"inverse dynamics of {settings.dataset.name}, {len(used)} episodes, "
        f"seed {settings.seed}, {trained.steps} steps"
    )
    content = Checkpoint(
        system=KIND,
        config=to_json(config),
        spec=Spec(
            cameras=tuple(CameraSpec(name, size, size) for name in config.cameras),
            rate_hz=1.0 / config.dt_s,
            emits=(material.space.latent,),
            chunk_steps=config.gap_steps,
            delta_axes="base",
        ),
        origin=origin_now(material.one.content_hash, recipe, metrics),
        tensors={name: as_array(value) for name, value in trained.weights.items()},
        stats={LABELLED: {material.one.content_hash: np.asarray(used)}},
    )
    write(settings.out, content, settings.overwrite)
    shutil.copy2(folder / METRICS, settings.out / METRICS)
    shutil.rmtree(folder)
    shown = {k: v for k, v in metrics.items() if k in _SHOWN}
    print(f"{settings.out}: " + ", ".join(f"{name} {value:.4g}" for name, value in shown.items()))
