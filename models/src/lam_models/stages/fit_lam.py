"""Train a latent-action model on a dataset: from settings to a model folder.

While it trains, the run lies in `<out>.training` (see loop.py); at the end the model folder is
written, with metrics.jsonl and curves.png in it, and the run's folder is removed.
"""

from __future__ import annotations

import dataclasses
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lam_models.checkpoint import CameraSpec, Spec, origin_now
from lam_models.command import UserError, unknown
from lam_models.stages.fit_data import Ahead, FitData, open_fit_data
from lam_models.stages.fit_settings import PRESETS, FitSettings
from lam_models.stages.opening import configure, open_system, save_system
from lam_models.stages.run_facts import keep_facts
from lam_models.stages.training.curves import draw_curves
from lam_models.stages.training.journal import METRICS, TIMINGS, read_metrics
from lam_models.stages.training.loop import Recipe, Trained, mean_loss, recipe_of, train
from lam_models.stages.training.trainer import place
from lam_models.strict_json import to_json
from lam_models.systems import find
from lam_models.systems.roles import Trainable

# What a model may be trained by otherwise than the one it builds on.
_OF_TRAINING = {field.name for field in dataclasses.fields(Recipe)}


@dataclass(frozen=True)
class FitResult:
    """metrics: as logged last; validation's are called "validation/..."."""

    path: Path
    metrics: dict[str, float]


def fit(settings: FitSettings) -> FitResult:
    """Train and write the model folder `settings.out`.

    Raises UserError for what cannot be trained, loop.Stopped where a signal interrupts: resume it.
    """
    if settings.out.exists() and not settings.overwrite:
        raise UserError(f"{settings.out} exists already; choose another folder or overwrite it")
    here = place()
    config, previous = configured(settings)
    with here.main_process_first():
        data = open_fit_data(settings, config, needs_actions=_needs_actions(settings.system))
    if data.action_stats is not None and _has_field(config, "action_dim"):
        config = dataclasses.replace(config, action_dim=len(data.action_stats["mean"]))
    recipe = _recipe(settings, config)
    folder = settings.out.with_name(settings.out.name + ".training")
    if here.is_main_process:
        keep_facts(
            folder,
            {"system": settings.system, "config": to_json(config), "data": data.content_hash},
            settings.resume,
        )
    model = _model(settings, config, previous)
    if here.is_main_process:
        print(_headline(settings.system, model, data, recipe), flush=True)
    validate = mean_loss(lambda: data.validation_batches(recipe, here))
    with Ahead(lambda step: data.batch_at(step, recipe, here)) as batch_at:
        trained = train(model, batch_at, recipe, folder, validate=validate, resume=settings.resume)
    metrics = {k: v for k, v in trained.metrics.items() if k not in TIMINGS}
    if here.is_main_process:
        _write(settings, config, data, trained, folder)
    here.wait_for_everyone()
    return FitResult(settings.out, metrics)


def configured(settings: FitSettings) -> tuple[Any, Any]:
    """The Config to train with, and the opened model before it, if any."""
    kind = find(settings.system)
    fields = [field.name for field in dataclasses.fields(kind.Config)]
    changes = settings.config_changes(fields)
    for name in settings.changes:
        if name not in fields:
            raise unknown("setting", name, fields)
    previous = None
    if settings.after is not None:
        if not hasattr(kind, "after"):
            raise UserError(f"'{settings.system}' builds on no other model: leave out 'after'")
        previous = open_system(settings.after)
        preset = previous.model.config
        given = [name for name in changes if name not in _OF_TRAINING]
        if given:
            raise UserError(f"{given[0]} is that of {settings.after}: it cannot be another")
    elif hasattr(kind, "after"):
        raise UserError(
            f"'{settings.system}' builds on another model: say which with --after DIR "
            "(docs of the system name the stage before)"
        )
    else:
        preset = _preset(kind, settings)
    return configure(kind, to_json(preset) | to_json(changes), "--set"), previous


def _recipe(settings: FitSettings, config: Any) -> Recipe:
    """Short runs are looked at as often as long ones."""
    recipe = recipe_of(
        config, seed=settings.seed, precision=settings.precision, compile=settings.compile
    )
    often = {
        "log_every": min(recipe.log_every, max(1, recipe.steps // 20)),
        "validate_every": min(recipe.validate_every, max(1, recipe.steps // 10)),
    }
    return dataclasses.replace(recipe, **often)


def _preset(kind: Any, settings: FitSettings) -> Any:
    if settings.preset not in PRESETS:
        raise unknown("preset", settings.preset, PRESETS)
    make = (
        kind.Config if settings.preset == "paper" else getattr(kind.Config, settings.preset, None)
    )
    if make is None:
        raise UserError(f"'{settings.system}' has no preset '{settings.preset}'")
    return make()


def _model(settings: FitSettings, config: Any, previous: Any) -> Any:
    """Built from the seed; released weights and those of the stage before are in it."""
    torch.manual_seed(settings.seed)
    kind = find(settings.system)
    if previous is not None:
        model = kind.after(previous.model)
        model.config = config
    else:
        model = kind(config)
        for module in model.modules():
            # A resumed run has them in its snapshot.
            if hasattr(module, "load_released") and not settings.resume:
                module.load_released()
    if not isinstance(model, Trainable):
        raise UserError(f"'{settings.system}' has no loss to train by")
    return model


def _needs_actions(system: str) -> bool:
    return bool(getattr(find(system), "needs_actions", False))


def _headline(system: str, model: Any, data: FitData, recipe: Recipe) -> str:
    size = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return (
        f"{system}: {size:,} parameters to train, {data.describe()}, "
        f"{recipe.steps} steps of {recipe.batch_size} clips"
    )


def _write(
    settings: FitSettings, config: Any, data: FitData, trained: Trained, folder: Path
) -> None:
    """The model folder from the whole weights, on the CPU, and the run's log beside them."""
    model = find(settings.system)(config)
    model.load_state_dict(trained.weights)
    metrics = {k: v for k, v in trained.metrics.items() if k not in TIMINGS}
    metrics["training_s"] = trained.seconds
    size = config.image_size
    spec = Spec(
        cameras=(CameraSpec(data.camera, size, size),),
        rate_hz=1.0 / config.gap_s,
        emits=(model.spec(),),
    )
    labels = "no" if settings.labels is None else f"{100 * settings.labels:g} % of"
    recipe = (
        f"fit {settings.system}, preset {settings.preset}, seed {settings.seed}, "
        f"{labels} action labels, {trained.steps} steps"
    )
    origin = origin_now(data.content_hash, recipe, metrics)
    stats = None if data.action_stats is None else {"action": data.action_stats}
    save_system(
        settings.out,
        model.eval(),
        settings.system,
        origin,
        spec=spec,
        stats=stats,
        overwrite=settings.overwrite,
    )
    shutil.copy2(folder / METRICS, settings.out / METRICS)
    lines = read_metrics(folder)
    if not draw_curves(lines, settings.system, settings.out / "curves.png"):
        print("no curves.png: matplotlib is not installed")
    shutil.rmtree(folder)
    shown = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items() if name in _SHOWN)
    print(f"{settings.out}: {shown}")


_SHOWN = ("loss", "validation/loss", "validation/perplexity", "validation/used_share")


def _has_field(config: Any, name: str) -> bool:
    return any(field.name == name for field in dataclasses.fields(config))
