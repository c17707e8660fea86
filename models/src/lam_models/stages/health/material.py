"""Clips of one set, what is known of them and what a system makes of them."""

from __future__ import annotations

from dataclasses import dataclass

from lam_models.data.clips import Clips
from lam_models.stages.health.reading import Known
from lam_models.stages.health.subject import Latents, Subject
from lam_models.stages.health.truth import Names, known


@dataclass(frozen=True)
class Material:
    """at: index of the present frame, and so of the step that counts."""

    clips: Clips
    names: Names
    known: Known
    latents: Latents
    at: int


def gather(subject: Subject, clips: Clips, names: Names) -> Material:
    """All of it, every clip encoded once."""
    at = subject.history
    return Material(clips, names, known(clips, names, at), subject.encode(clips), at)
