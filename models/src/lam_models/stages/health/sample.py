"""The clips of a dataset that a report is made on: some to fit probes on, others to report on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lam_models.command import UserError
from lam_models.data.cache import open_cache
from lam_models.data.clips import Clips, ClipSampler
from lam_models.data.gap_actions import action_groups
from lam_models.data.split import split_episodes
from lam_models.stages.health.algebra import frames_needed
from lam_models.stages.health.truth import Names

_FEWEST_EPISODES = 4


def sample(
    dataset: Path,
    config: Any,
    *,
    camera: str | None = None,
    clips: int = 2000,
    validation: float = 0.1,
    seed: int = 0,
    cache: str = "raw",
) -> tuple[Clips, Clips, Names]:
    """`clips` to fit on and half as many to report on, as the system of `config` wants them.

    config: a `systems.roles.VideoConfig`.
    validation, seed: with those of a training, what is reported on are the episodes that it kept
        for validation.
    """
    opened = open_cache(dataset, camera=camera, size=config.image_size, kind=cache)
    count = len(opened.episodes)
    if count < _FEWEST_EPISODES:
        raise UserError(f"{dataset} has {count} episodes; a report needs {_FEWEST_EPISODES}")
    # Two are the fewest among which a clip of another episode can be found.
    training, held = split_episodes(opened.instructions, max(validation, 2 / count), seed)
    history, frames = config.history, max(config.frames, frames_needed(config.history))

    def draw(episodes: np.ndarray, most: int) -> Clips:
        sampler = ClipSampler(opened, frames, config.gap_s, history, episodes.tolist())
        rng = np.random.default_rng([seed, most])
        return sampler.clips(np.sort(rng.permutation(len(sampler))[:most]))

    names = Names(
        action_groups(opened.names.get("action", ())),
        opened.names.get("observation.environment_state", ()),
    )
    return draw(training, clips), draw(held, max(clips // 2, 1)), names
