"""Train a policy: from settings to a policy folder.

`lam fit-policy` learns motion latents of video, `lam fit-actions` learns chunks of actions of
labelled episodes, from scratch or after the former, with video beside them where it is given.
While it trains, the run lies in `<out>.training` (see training/loop.py).
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lam_models.checkpoint import CameraSpec, Checkpoint, Spec, open_checkpoint, origin_now, write
from lam_models.command import UserError, unknown
from lam_models.policy.inputs import EE, EE_NAMES
from lam_models.policy.slot_config import Config
from lam_models.policy.slot_policy import SlotPolicy
from lam_models.stages.fit_data import Ahead
from lam_models.stages.opening import as_array, configure
from lam_models.stages.policy_data import PolicyData, split
from lam_models.stages.policy_material import Material, known_pinhole, known_reach, read_material
from lam_models.stages.policy_settings import POLICY_PRESETS, PolicySettings
from lam_models.stages.run_facts import keep_facts
from lam_models.stages.training.curves import draw_curves
from lam_models.stages.training.journal import METRICS, TIMINGS, read_metrics
from lam_models.stages.training.loop import Recipe, Trained, mean_loss, recipe_of, train
from lam_models.stages.training.trainer import place
from lam_models.strict_json import to_json
from lam_models.types import LatentSpec

KIND = "slot_policy"
AXES = "base"
# Parts of a policy that are learnt anew from every set of labelled episodes.
_OF_ACTIONS = ("read_out.", "places.", "ways.", "backbone.held.")
# What a policy takes over from the one before only where nothing else is asked for.
SHAPES = (
    "cameras",
    "image_size",
    "channels",
    "blocks",
    "maps",
    "glimpses",
    "width",
    "depth",
    "heads",
    "slots",
    "vlm",
)


def fit_policy(settings: PolicySettings) -> Path:
    """Train and write the policy folder `settings.out`.

    Raises UserError for what cannot be trained, loop.Stopped where a signal interrupts: resume it.
    """
    if settings.out.exists() and not settings.overwrite:
        raise UserError(f"{settings.out} exists already; choose another folder or overwrite it")
    if not settings.datasets and not settings.videos:
        raise UserError("a policy learns of labelled episodes, of video with latents, or of both")
    here = place()
    before = None if settings.after is None else _opened_before(settings.after)
    config = _config(settings, before)
    with here.main_process_first():
        material = read_material(settings, config)
    config = _fitted(config, material)
    recipe = _recipe(settings, config)
    folder = settings.out.with_name(settings.out.name + ".training")
    if here.is_main_process:
        keep_facts(folder, _facts(settings, config, material), settings.resume)
    data = _data(settings, config, material)
    model = _model(settings, config, before)
    _standardise(model, material, data)
    if here.is_main_process:
        size = sum(p.numel() for p in model.parameters())
        steps = f"{recipe.steps} steps of {recipe.batch_size}"
        print(f"policy of {size:,} parameters, {data.describe()}, {steps}", flush=True)
    validate = mean_loss(lambda: data.validation_batches(recipe, here))
    with Ahead(lambda step: data.batch_at(step, recipe, here)) as batch_at:
        trained = train(model, batch_at, recipe, folder, validate=validate, resume=settings.resume)
    if here.is_main_process:
        _write(settings, config, material, trained, folder)
    here.wait_for_everyone()
    return settings.out


def _opened_before(path: Path) -> Checkpoint:
    checkpoint = open_checkpoint(path)
    if checkpoint.system != KIND:
        raise UserError(f"{path} holds '{checkpoint.system}': a policy goes on from a '{KIND}'")
    return checkpoint


def _config(settings: PolicySettings, before: Checkpoint | None) -> Config:
    fields = [field.name for field in dataclasses.fields(Config)]
    for name in settings.changes:
        if name not in fields:
            raise unknown("setting", name, fields)
    if settings.preset not in POLICY_PRESETS:
        raise unknown("preset", settings.preset, POLICY_PRESETS)
    preset = to_json(getattr(Config, settings.preset)())
    if before is not None:
        preset |= {name: before.config[name] for name in SHAPES if name in before.config}
        preset |= {k: v for k, v in before.config.items() if k.startswith("motion_")}
        if given := [name for name in settings.changes if name in SHAPES]:
            raise UserError(f"{given[0]} is that of {settings.after}: it cannot be another")
    delay = round(settings.delay_s / preset["dt_s"])
    changes = {"greatest_delay": delay, **settings.config_changes()}
    return configure(SlotPolicy, preset | to_json(changes), "--set")


def _fitted(config: Config, material: Material) -> Config:
    """With the sizes of the spaces that the data are in."""
    changes: dict[str, Any] = {}
    if material.space is not None:
        changes["latent_dim"] = material.space.dim
        changes["pinhole"] = known_pinhole(config, material)
        if changes["pinhole"] is not None:
            telling = [one for one in material.videos if one.waypoints is not None]
            changes["reach_m"] = known_reach((*material.labelled, *telling), config.reach_m)
    if (motion := material.motion) is not None:
        tokens, dim = motion.space.shape
        found = {
            "motion_tokens": tokens,
            "motion_codes": motion.space.codebook_size,
            "motion_dim": 0 if motion.space.codebook_size else dim,
        }
        learnt = {name: getattr(config, name) for name in found}
        if config.motion_tokens and learnt != found:
            raise UserError("the policy before learnt motion latents of another shape")
        changes |= found
    return dataclasses.replace(config, **changes)


def _recipe(settings: PolicySettings, config: Config) -> Recipe:
    recipe = recipe_of(
        config, seed=settings.seed, precision=settings.precision, compile=settings.compile
    )
    return dataclasses.replace(
        recipe,
        log_every=min(50, max(1, recipe.steps // 20)),
        validate_every=max(1, recipe.steps // 10),
    )


def _data(settings: PolicySettings, config: Config, material: Material) -> PolicyData:
    labelled, held = split(material.labelled, settings.episodes, settings.validation, settings.seed)
    moving = [one for one in material.videos if one.motion is not None]
    videos, held_videos = split(moving, 0, settings.validation, settings.seed)
    telling = [one for one in material.videos if one.waypoints is not None]
    placed, _ = split(telling, 0, settings.validation, settings.seed)
    showing = [one.showing_places() for one in (labelled, placed) if one is not None]
    return PolicyData(
        labelled=labelled,
        videos=videos,
        held=held_videos if held is None else held,
        chunk_steps=config.chunk_steps,
        greatest_delay=config.greatest_delay,
        video_share=settings.video_share,
        showing=tuple(one for one in showing if len(one)) if config.pinhole is not None else (),
    )


def _model(settings: PolicySettings, config: Config, before: Checkpoint | None) -> SlotPolicy:
    """Built from the seed, with the backbone and motion head of the policy before."""
    torch.manual_seed(settings.seed)
    model = SlotPolicy(config)
    if before is not None:
        kept = {
            name: torch.from_numpy(np.array(value)).float()
            for name, value in before.tensors.items()
            if not name.startswith(_OF_ACTIONS)
        }
        missing, unexpected = model.load_state_dict(kept, strict=False)
        if unexpected or any(not name.startswith((*_OF_ACTIONS, "motion.")) for name in missing):
            raise UserError(f"{settings.after} does not fit: {[*missing, *unexpected][:3]}")
    return model


def _standardise(model: SlotPolicy, material: Material, data: PolicyData) -> None:
    """Statistics of poses and deltas, over the rows that are learnt from."""
    drawn = data.labelled or data.videos
    if drawn is None:
        return
    features = drawn.gather([one.features for one in drawn.demonstrations if one.has_state])
    if len(features):
        model.backbone.standardise(*_statistics(features))
    if data.labelled is not None:
        actions = [one.actions for one in material.labelled if one.actions is not None]
        rows = data.labelled.gather(actions)
        mean, deviation = _statistics(rows)
        model.read_out.units.standardise(mean[:6], deviation[:6])
        if hasattr(model.read_out, "learn_bins"):
            model.read_out.learn_bins(rows)


def _statistics(values: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(values.mean(0)), torch.from_numpy(values.std(0))


def _facts(settings: PolicySettings, config: Config, material: Material) -> dict[str, Any]:
    """What a run is of; a longer one is the same."""
    return {
        "config": {k: v for k, v in to_json(config).items() if k != "steps"},
        "data": material.content_hash,
        "after": "" if settings.after is None else str(settings.after),
        "episodes": settings.episodes,
        "pseudo": settings.pseudo,
        **({} if settings.places_of_video is None else {"places": settings.places_of_video}),
    }


def policy_spec(config: Config, emits: Sequence[LatentSpec], has_state: bool) -> Spec:
    """What a policy sees and emits."""
    size = config.image_size
    return Spec(
        cameras=tuple(CameraSpec(name, size, size) for name in config.cameras),
        state={EE: EE_NAMES} if has_state else {},
        rate_hz=1.0 / config.dt_s,
        emits=tuple(emits),
        chunk_steps=config.chunk_steps,
        delta_axes=AXES,
    )


def _write(
    settings: PolicySettings, config: Config, material: Material, trained: Trained, folder: Path
) -> None:
    metrics = {k: v for k, v in trained.metrics.items() if k not in TIMINGS}
    metrics["training_s"] = trained.seconds
    emits = [] if material.motion is None else [material.motion.space]
    if material.space is not None:
        emits.append(material.space.latent)
    elif settings.after is not None:
        emits = emits or list(open_checkpoint(settings.after).spec.emits)
    recipe = (
        f"policy of {_taught(settings, material)}, {settings.episodes or 'all'} episodes each, "
        f"{config.read_out} read-out, seed {settings.seed}, {trained.steps} steps"
    )
    content = Checkpoint(
        system=KIND,
        config=to_json(config),
        spec=policy_spec(config, emits, has_state=bool(material.labelled)),
        origin=origin_now(material.content_hash, recipe, metrics),
        tensors={name: as_array(value) for name, value in trained.weights.items()},
    )
    write(settings.out, content, settings.overwrite)
    shutil.copy2(folder / METRICS, settings.out / METRICS)
    draw_curves(read_metrics(folder), KIND, settings.out / "curves.png")
    shutil.rmtree(folder)
    shown = {k: v for k, v in metrics.items() if k in ("loss", "validation/loss", "training_s")}
    print(f"{settings.out}: " + ", ".join(f"{name} {value:.4g}" for name, value in shown.items()))


def _taught(settings: PolicySettings, material: Material) -> str:
    """What it learnt of, for the folder's origin."""
    said = [path.name for path in settings.datasets]
    kinds = ["motion"] if any(one.motion is not None for one in material.videos) else []
    kinds += ["places"] if settings.places_of_video is not None else []
    said += [f"{' and '.join(kinds)} of {path.name}" for path in settings.videos]
    said += [f"after {settings.after.name}"] if settings.after is not None else []
    said += [f"up to {settings.delay_s:g} s late"] if settings.delay_s else []
    return ", ".join(said)
