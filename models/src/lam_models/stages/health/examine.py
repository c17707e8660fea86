"""All measures of one system on one dataset, and how far its latents carry to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lam_models.command import UserError
from lam_models.data.clips import Clips
from lam_models.stages.health.algebra import algebra, frames_needed
from lam_models.stages.health.carry import across, within
from lam_models.stages.health.codebook import code_counts, code_use
from lam_models.stages.health.contents import Values, leaks, probes
from lam_models.stages.health.material import gather
from lam_models.stages.health.prediction import prediction
from lam_models.stages.health.subject import Subject, elsewhere
from lam_models.stages.health.truth import Names

# Below this many, what is reported depends much on which they are.
_FEW_EPISODES = 10


@dataclass(frozen=True)
class Report:
    """What was measured of a system.

    values: by dotted name, e.g. "probe.linear.translation"; None where there is no such value.
    space: what its latents are, what it predicts, and how many clips were looked at.
    notes: what was left out, and why.
    code_counts: how often each token position took each code; empty for continuous latents.
    """

    system: str
    space: Mapping[str, str | float | int]
    values: Mapping[str, float | None]
    notes: tuple[str, ...] = ()
    code_counts: tuple[tuple[int, ...], ...] = ()

    def flat(self) -> dict[str, float]:
        """Every value there is."""
        return {name: value for name, value in self.values.items() if value is not None}


def examine(
    model: Any,
    train_clips: Clips,
    test_clips: Clips,
    other: tuple[Clips, Clips] | None = None,
    *,
    names: Names | None = None,
    other_names: Names | None = None,
    name: str = "",
    seed: int = 0,
    device: str = "cpu",
    batch_size: int = 64,
) -> Report:
    """Every measure that the system and the clips allow; `words.illnesses` judges them.

    train_clips, test_clips: of different episodes, `history` frames before the present one and at
        least one after; algebra needs one more. Probes are fitted on the first.
    other: the same of another dataset, e.g. of another embodiment.
    names: of the clips' columns; other_names where the other dataset has different ones.
    Raises UserError where a latent is not finite.
    """
    subject, names = Subject(model.eval(), device, batch_size), names or Names()
    train = gather(subject, train_clips, names)
    test = gather(subject, test_clips, names)
    if not all(torch.isfinite(each.latents.values).all() for each in (train, test)):
        raise UserError(f"latents of '{name or type(model).__name__}' are not finite: it diverged")
    codes, size = test.latents.codes, model.spec().codebook_size
    values: Values = {"latent.spread": spread(test.latents.values)}
    notes: list[str] = []
    episodes = len(np.unique(test_clips.episodes))
    if episodes < _FEW_EPISODES:
        notes.append(f"Only {episodes} episodes are reported on: other ones may say otherwise.")
    values |= probes(train, test, seed, notes)
    values |= leaks(train, test, seed, notes)
    if codes is not None:
        values |= {f"codebook.{key}": value for key, value in code_use(codes, size).items()}
    values |= _frames(subject, test_clips, test.latents.values, seed, notes)
    values |= within(subject, train, test, seed, notes)
    if other is not None:
        theirs, takers = (gather(subject, clips, other_names or names) for clips in other)
        values |= across(subject, train, (theirs, takers), seed, notes)
    counts = [] if codes is None else code_counts(codes, size).int().tolist()
    return Report(
        system=name or type(model).__name__,
        space=_space(subject, train_clips, test_clips),
        values=values,
        notes=tuple(notes),
        code_counts=tuple(tuple(row) for row in counts),
    )


def spread(values: Float[Tensor, "clips tokens dim"]) -> float:
    """Deviation of the latents over their root mean square: 0 where all are the same."""
    flat = values.flatten(1).double()
    size = flat.square().sum(1).mean()
    about_mean = (flat - flat.mean(0)).square().sum(1).mean()
    return torch.where(size > 0, about_mean / size, torch.zeros_like(size)).sqrt().item()


def _frames(
    subject: Subject,
    clips: Clips,
    values: Float[Tensor, "clips tokens dim"],
    seed: int,
    notes: list[str],
) -> Values:
    """What the predicted frames say, and the algebra of steps."""
    found: Values = {}
    if subject.decodes:
        measured = prediction(subject, clips, values, elsewhere(clips.episodes, seed))
        found |= {f"prediction.{name}": value for name, value in measured.items()}
    else:
        notes.append("The system predicts no next frame: prediction and migration are left out.")
    if clips.frames.shape[1] >= frames_needed(subject.history):
        found |= {f"algebra.{name}": value for name, value in algebra(subject, clips).items()}
    else:
        notes.append("Algebra needs clips with two frames after the present one: left out.")
    return found


def _space(subject: Subject, train: Clips, test: Clips) -> dict[str, str | float | int]:
    spec = subject.model.spec()
    return {
        "latent": spec.name,
        "tokens": spec.shape[0],
        "dim": spec.shape[1],
        "codebook_size": spec.codebook_size,
        "gap_s": spec.gap_s,
        "predicts": "features" if subject.predicts_features else "pixels",
        "clips_fitted_on": len(train.frames),
        "clips_reported_on": len(test.frames),
        "episodes_fitted_on": len(np.unique(train.episodes)),
        "episodes_reported_on": len(np.unique(test.episodes)),
    }
