"""Go on training a whole policy folder on a few new episodes, and say what that changed.

Unlike `fit-actions --after`, nothing is learnt anew: every weight stays, read-outs too, and so do
the statistics by which poses and actions are standardised. Weights do not decay: what the new
episodes say nothing of remains as it was. While it trains, the run lies in `<out>.training`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState
from rich.console import Console

from lam_models.checkpoint import Checkpoint, open_checkpoint, origin_now, write
from lam_models.command import UserError
from lam_models.hands.space import open_space_of
from lam_models.policy.backbone_kinds import word_reader
from lam_models.policy.opening import check_spec, hand_space
from lam_models.policy.slot_config import Config
from lam_models.policy.slot_policy import SlotPolicy
from lam_models.stages.demonstrations import Demonstrations, Wanted
from lam_models.stages.finetune_data import Lessons, open_lessons
from lam_models.stages.finetune_measures import Measured, as_metrics, measure, table
from lam_models.stages.finetune_parts import choose_weights, default_part, merge_lora
from lam_models.stages.finetune_settings import FinetuneSettings
from lam_models.stages.fit_data import Ahead
from lam_models.stages.opening import as_array
from lam_models.stages.policy_data import PolicyData
from lam_models.stages.policy_material import known_reach
from lam_models.stages.run_facts import keep_facts
from lam_models.stages.training.curves import draw_curves
from lam_models.stages.training.journal import METRICS, TIMINGS, read_metrics
from lam_models.stages.training.loop import Recipe, mean_loss, recipe_of, train
from lam_models.stages.training.trainer import place
from lam_models.strict_json import from_json, to_json

KIND = "slot_policy"
# At most: a seventh of what the small policy is trained with from the start, half for words alone.
DEFAULT_RATE, WORDS_RATE = 3e-4, 1e-3
# Focal length in half sides, position in m and turn in rad.
_CALIBRATED_WITHIN = 0.01


def finetune(settings: FinetuneSettings) -> Path:
    """Train and write the policy folder `settings.out`.

    Raises UserError for what cannot be trained, loop.Stopped where a signal interrupts: resume it.
    """
    if settings.out.exists() and not settings.overwrite:
        raise UserError(f"{settings.out} exists already; choose another folder or overwrite it")
    here = place()
    checkpoint = _opened(settings.policy)
    config = _config(settings, from_json(Config, checkpoint.config, "config.json"))
    with here.main_process_first():
        lessons = _lessons(settings, checkpoint, config)
    config = _widened(config, lessons)
    told = checkpoint.config | {"reach_m": list(config.reach_m)}
    policy = SlotPolicy.open(dataclasses.replace(checkpoint, config=told), "cpu")
    part = settings.train or default_part(policy)
    count = choose_weights(policy, part)
    folder = settings.out.with_name(settings.out.name + ".training")
    recipe = _recipe(settings, config)
    if here.is_main_process:
        keep_facts(folder, _facts(settings, checkpoint, config, lessons, part), settings.resume)
        print(_sentence(lessons, part, count, recipe), flush=True)
    before = _judged(policy, lessons, recipe, here)
    data = PolicyData(
        labelled=lessons.learnt,
        videos=None,
        held=lessons.held_new,
        chunk_steps=config.chunk_steps,
        greatest_delay=config.greatest_delay,
        video_share=0.5,
        showing=() if config.pinhole is None else (lessons.learnt.showing_places(),),
    )
    validate = mean_loss(lambda: data.validation_batches(recipe, here))
    with Ahead(lambda step: data.batch_at(step, recipe, here)) as batch_at:
        trained = train(policy, batch_at, recipe, folder, validate=validate, resume=settings.resume)
    merge_lora(policy)
    after = _judged(policy, lessons, recipe, here)
    if here.is_main_process:
        Console().print(table(before, after))
        metrics = {k: v for k, v in trained.metrics.items() if k not in TIMINGS}
        metrics |= as_metrics("before", before) | as_metrics("after", after)
        metrics["training_s"] = trained.seconds
        content = _content(settings, checkpoint, policy, lessons, part)
        origin = dataclasses.replace(content.origin, metrics=metrics)
        _write(settings, dataclasses.replace(content, origin=origin), folder)
        print(f"{settings.out}: {trained.steps} steps in {trained.seconds:.0f} s")
    here.wait_for_everyone()
    return settings.out


def _judged(
    policy: SlotPolicy, lessons: Lessons, recipe: Recipe, here: PartialState
) -> dict[str, Measured]:
    """Of the new and, where there are any, of the earlier episodes that are kept."""
    held = {"new": lessons.held_new, "earlier": lessons.held_earlier}
    return {
        name: measure(policy, one, recipe.batch_size, here.device or "cpu")
        for name, one in held.items()
        if one is not None
    }


def _opened(path: Path) -> Checkpoint:
    checkpoint = open_checkpoint(path)
    if checkpoint.system != KIND:
        raise UserError(f"{path} holds '{checkpoint.system}'; only a '{KIND}' can be finetuned")
    try:
        check_spec(checkpoint, path)
    except UserError as error:
        raise UserError(
            f"{path} does not act yet ({error}): ground it with lam fit-actions"
        ) from None
    return checkpoint


def _config(settings: FinetuneSettings, config: Config) -> Config:
    """The policy's own but for how it is trained from here on."""
    most = WORDS_RATE if settings.train == "words" else DEFAULT_RATE
    rate = settings.learning_rate or min(config.learning_rate, most)
    return dataclasses.replace(
        config,
        learning_rate=rate,
        weight_decay=0.0,
        steps=settings.steps,
        batch_size=settings.batch_size or config.batch_size,
    )


def _widened(config: Config, lessons: Lessons) -> Config:
    """New episodes may go farther."""
    if not config.reach_m:
        return config
    reach_m = known_reach(lessons.learnt.demonstrations, config.reach_m)
    return dataclasses.replace(config, reach_m=reach_m)


def _recipe(settings: FinetuneSettings, config: Config) -> Recipe:
    recipe = recipe_of(config, seed=settings.seed, precision=settings.precision)
    return dataclasses.replace(
        recipe,
        log_every=min(50, max(1, recipe.steps // 20)),
        validate_every=max(1, recipe.steps // 5),
    )


def _lessons(settings: FinetuneSettings, checkpoint: Checkpoint, config: Config) -> Lessons:
    space = open_space_of(hand_space(checkpoint.spec), settings.space)
    wanted = Wanted(
        cameras=config.cameras,
        image_size=config.image_size,
        dt_s=config.dt_s,
        chunk_steps=config.chunk_steps,
        space=space,
        hand=settings.hand,
        cache=settings.cache,
        read_words=word_reader(config),
    )
    lessons = open_lessons(
        settings.data,
        settings.replay,
        wanted,
        replay_share=settings.replay_share,
        intervention_weight=settings.intervention_weight,
        validation=settings.validation,
        seed=settings.seed,
    )
    for path, one in zip(
        (*settings.data, *settings.replay), lessons.learnt.demonstrations, strict=True
    ):
        _check_calibration(config, path, one)
    return lessons


def _check_calibration(config: Config, path: Path, one: Demonstrations) -> None:
    """A policy that finds places in a picture must see from where it learnt to."""
    name, known = config.cameras[0], config.pinhole
    found = one.pinholes.get(name)
    if known is None or found is None:
        return
    numbers = [(each.focal, *each.position_m, *each.turn_rad) for each in (found, known)]
    if not np.allclose(*numbers, rtol=0.0, atol=_CALIBRATED_WITHIN):
        raise UserError(
            f"{path}: the camera '{name}' is calibrated otherwise ({found}) than the policy knows "
            f"it ({known}); lam fit-actions --after learns for a camera that has moved"
        )


def _facts(
    settings: FinetuneSettings,
    checkpoint: Checkpoint,
    config: Config,
    lessons: Lessons,
    part: str,
) -> Mapping[str, Any]:
    """What a run is of; a longer one is the same."""
    content = {k: v for k, v in to_json(config).items() if k != "steps"}
    return {
        "config": content,
        "policy": checkpoint.origin.weights_hash,
        "data": list(lessons.hashes),
        "replay_share": settings.replay_share if settings.replay else 0.0,
        "intervention_weight": settings.intervention_weight,
        "validation": settings.validation,
        "train": part,
    }


def _sentence(lessons: Lessons, part: str, count: int, recipe: Recipe) -> str:
    earlier = len(lessons.learnt) - lessons.new_frames
    told = [f"{lessons.new_frames} new frames"]
    if lessons.interventions:
        told.append(f"{lessons.interventions} of them interventions")
    if earlier:
        told.append(f"{earlier} earlier ones to draw from")
    return (
        f"{part}: {count:,} weights are trained, {', '.join(told)}, {recipe.steps} steps of "
        f"{recipe.batch_size} at a learning rate of {recipe.learning_rate:g}"
    )


def _content(
    settings: FinetuneSettings,
    before: Checkpoint,
    policy: SlotPolicy,
    lessons: Lessons,
    part: str,
) -> Checkpoint:
    names = ", ".join(path.name for path in settings.data)
    beside = ", ".join(path.name for path in settings.replay)
    replayed = f" with {settings.replay_share:g} of {beside}" if beside else ""
    known = f"{settings.policy.name} ({before.origin.weights_hash[:12]})"
    recipe = (
        f"{known} finetuned on {names}{replayed}, {part}, seed {settings.seed}, "
        f"{settings.steps} steps; before: {before.origin.recipe}"
    )
    digest = hashlib.sha256(" ".join(lessons.hashes).encode()).hexdigest()
    return Checkpoint(
        system=KIND,
        config=to_json(_config(settings, policy.config)),
        spec=before.spec,
        origin=origin_now(digest, recipe),
        tensors={name: as_array(value) for name, value in policy.state_dict().items()},
        stats=before.stats,
    )


def _write(settings: FinetuneSettings, content: Checkpoint, folder: Path) -> None:
    write(settings.out, content, settings.overwrite)
    shutil.copy2(folder / METRICS, settings.out / METRICS)
    draw_curves(read_metrics(folder), KIND, settings.out / "curves.png")
    shutil.rmtree(folder)
