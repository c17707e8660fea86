"""Everything that a policy is trained from, read of its datasets and videos."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lam_models.command import UserError
from lam_models.hands.space import HandSpace, open_space
from lam_models.policy.backbone_kinds import word_reader
from lam_models.policy.slot_config import Config
from lam_models.sense.pinhole import Pinhole
from lam_models.stages.demonstrations import Demonstrations, Motion, Wanted, open_demonstrations
from lam_models.stages.policy_settings import PolicySettings

# Around all places that demonstrations go to, which may still be meant.
_MARGIN_M = 0.05


@dataclass(frozen=True)
class Material:
    """Everything read of the datasets. space: of hand latents, None without labelled episodes."""

    labelled: tuple[Demonstrations, ...]
    videos: tuple[Demonstrations, ...]
    space: HandSpace | None

    @property
    def motion(self) -> Motion | None:
        """Of the videos, else of the labelled episodes, where they have any."""
        found = [one.motion for one in (*self.videos, *self.labelled) if one.motion is not None]
        return found[0] if found else None

    @property
    def content_hash(self) -> str:
        """Of all datasets together."""
        hashes = [one.content_hash for one in (*self.labelled, *self.videos)]
        return hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def read_material(settings: PolicySettings, config: Config) -> Material:
    """UserError where something lacks what is wanted of it."""
    space = open_space(settings.space) if settings.datasets else None
    base = Wanted(config.cameras, config.image_size, config.dt_s, config.chunk_steps)
    base = dataclasses.replace(base, cache=settings.cache, read_words=word_reader(config))
    labels = dataclasses.replace(base, space=space, hand=settings.hand, pseudo=settings.pseudo)
    latents = dataclasses.replace(base, motion=settings.motion)
    material = Material(
        labelled=tuple(open_demonstrations(path, labels) for path in settings.datasets),
        videos=tuple(_video(path, latents, settings, space) for path in settings.videos),
        space=space,
    )
    spaces = {one.motion.space.space_hash for one in material.videos if one.motion is not None}
    if len(spaces) > 1:
        raise UserError("the videos hold latents of several spaces: name one with --motion")
    return material


def known_pinhole(config: Config, material: Material) -> Pinhole | None:
    """Of the first camera, where all demonstrations know the same one and tell waypoints.

    UserError where videos tell places, and of another camera or of one that is not calibrated.
    """
    camera, labelled = config.cameras[0], material.labelled
    found = [one.pinholes.get(camera) for one in labelled]
    usable = all(one.waypoints is not None for one in labelled) and len(set(found)) == 1
    pinhole = found[0] if usable and config.vlm is None else None
    told = [one.pinholes.get(camera) for one in material.videos if one.waypoints is not None]
    if told and (pinhole is None or set(told) != {pinhole}):
        raise UserError(
            f"places of video are learnt where all data state the same calibration of '{camera}', "
            "the labelled episodes poses too, and the policy has no vision-language model"
        )
    return pinhole


def known_reach(
    telling: Sequence[Demonstrations], before_m: tuple[float, ...] = ()
) -> tuple[float, ...]:
    """Least x and y, greatest x and y of all places that demonstrations go to, with a margin [m].

    (): they go nowhere. before_m: of a policy that learnt before of other demonstrations.
    """
    least, greatest = np.array(before_m or (np.inf, np.inf, -np.inf, -np.inf)).reshape(2, 2)
    for one in telling:
        poses, known = one.places(np.arange(len(one.lasts)))
        spots = poses[known][:, :2]
        least = np.minimum(least, spots.min(0, initial=np.inf) - _MARGIN_M)
        greatest = np.maximum(greatest, spots.max(0, initial=-np.inf) + _MARGIN_M)
    bounds = np.concatenate([least, greatest])
    return tuple(bounds.round(3).tolist()) if np.isfinite(bounds).all() else ()


def _video(
    path: Path, wanted: Wanted, settings: PolicySettings, space: HandSpace | None
) -> Demonstrations:
    """Its actions, if any are read, say where its hand goes, and nothing else."""
    if settings.places_of_video is None:
        return open_demonstrations(path, wanted)
    motion, name = settings.motion or None, settings.places_of_video
    wanted = dataclasses.replace(wanted, space=space, pseudo=name, motion=motion)
    found = dataclasses.replace(open_demonstrations(path, wanted), actions=None)
    if found.waypoints is None:
        raise UserError(f"{path} has no poses, nor were any read of it: it tells no places")
    return found
