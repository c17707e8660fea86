"""What a policy is trained from and how, as the command line says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from lam_models.command import UserError
from lam_models.stages.training.recipe import Precision

POLICY_PRESETS = ("small", "cloner", "tiny")


@dataclass(frozen=True)
class PolicySettings:
    """None leaves a number to the preset, or to the policy before.

    datasets: with labelled actions; none where a policy learns of motion alone.
    videos: with motion latents beside them; their actions are not looked at.
    motion: name of the latent space, "" for the only one.
    pseudo: name of actions read from video that lie beside the datasets, learnt in place of their
        own; "" for the only ones, None for their own.
    places_of_video: name of actions read from video that lie beside the videos, of which only the
        places are learnt that they lead to; "" for the only ones, None for none. Motion latents are
        then learnt only where `motion` names them.
    space: folder of the space of hands, "" for the shipped one. hand: of all datasets, "" finds it.
    episodes: of each dataset and video set, evenly spread over it; 0 takes all.
    video_share: of each batch, where there are both.
    delay_s: greatest delay of an answer that is learnt.
    after: folder of a policy that this one goes on from.
    changes: any field of the policy's Config by name; applied last.
    """

    out: Path
    datasets: tuple[Path, ...] = ()
    videos: tuple[Path, ...] = ()
    motion: str = ""
    pseudo: str | None = None
    places_of_video: str | None = None
    space: str = ""
    hand: str = ""
    episodes: int = 0
    video_share: float = 0.3
    delay_s: float = 0.0
    after: Path | None = None
    preset: Literal["small", "cloner", "tiny"] = "small"
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    validation: float = 0.05
    cache: Literal["raw", "jpeg"] = "raw"
    seed: int = 0
    precision: Precision = "auto"
    compile: bool = False
    resume: bool = False
    overwrite: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0.0 <= self.validation < 1.0:
            raise UserError(f"validation {self.validation:g}: a share from 0 to below 1")
        if not 0.0 < self.video_share < 1.0:
            raise UserError(f"video share {self.video_share:g}: a share above 0 and below 1")
        if self.episodes < 0:
            raise UserError(f"episodes {self.episodes}: must be 0 (all) or more")
        if self.places_of_video is not None and not self.videos:
            raise UserError("places of video are to be learnt, and there is no video")
        if self.delay_s < 0.0:
            raise UserError(f"delay {self.delay_s:g} s: must not be negative")
        for name in ("steps", "batch_size", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"{name} {value:g}: must be above 0")

    def config_changes(self) -> dict[str, Any]:
        """What is to be another than in the preset or the policy before."""
        given = {name: getattr(self, name) for name in ("steps", "batch_size", "learning_rate")}
        return {k: v for k, v in given.items() if v is not None} | dict(self.changes)
