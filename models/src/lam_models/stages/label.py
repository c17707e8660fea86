"""The latents of a trained model for every row of a dataset, written beside it.

The latent of a row is that of the step from its frame to the one a gap later. At an episode's start
the frames before it are its first; where the gap passes its end they are its last, and the row is
not valid. Where they are written and how they are read: data/latents.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64

from lam_models.command import UserError
from lam_models.data.cache import open_cache
from lam_models.data.clips import Clips, ClipSampler
from lam_models.data.latents import LatentOrigin, Latents, LatentsWriter, Piece, Rows
from lam_models.data.lerobot_layout import INFO_PATH
from lam_models.data.lerobot_read import Dataset
from lam_models.data.prefetch import Prefetch
from lam_models.data.progress import FramesProgress, frames_progress
from lam_models.data.sources import camera_named
from lam_models.stages.batches import to_batch
from lam_models.stages.opening import OpenedSystem, open_system
from lam_models.systems.roles import Encoded, Labeler


def label(
    model: Path,
    dataset: Path,
    *,
    camera: str | None = None,
    batch_size: int = 64,
    cache: str = "raw",
    device: str = "cpu",
) -> Latents:
    """Write what is missing of the model's latents of a dataset, and open them.

    camera: key or last word; None takes the model's own where the dataset has it, else the first.
    """
    if dataset.is_dir() and not (dataset / INFO_PATH).is_file():
        raise UserError(f"{dataset} is no LeRobot dataset: it has no rows to write latents beside")
    opened = open_system(model, device)
    config = _video_config(opened)
    rows = Dataset.open(dataset)
    key = camera_named(camera or _learnt_from(opened, rows), rows.cameras)
    frames = open_cache(dataset, camera=key, size=config.image_size, kind=cache)
    clips = ClipSampler(frames, config.frames, config.gap_s, config.history)
    writer = LatentsWriter(rows, LatentOrigin(opened.model.spec(), key, rows.content_hash))
    missing = writer.missing()
    labelling = _Labelling(opened.model, device, clips, _Places.of(rows, clips), batch_size)
    total = sum(piece.stop - piece.start for piece in missing)
    with frames_progress(f"labelling {dataset.name}", total) as bar:
        for piece in missing:
            writer.write(piece, labelling.label(piece, bar))
    writer.finish()
    return Latents.open(rows, writer.path.name)


def describe(latents: Latents) -> str:
    """Rows, valid ones and the use of codes, in words."""
    valid = latents.rows.valid
    said = f"{len(valid)} rows, {100 * valid.mean():.1f} % valid"
    if usage := latents.usage():
        space = latents.space
        said += (
            f"; {space.shape[0]} tokens a row, of {space.codebook_size} codes "
            f"{usage['used_codes']:.1f} used, perplexity {usage['perplexity']:.1f}"
        )
    return said


@dataclass(frozen=True)
class _Places:
    """Where each row of a dataset lies in a cache.

    episodes: position in the cache, -1 where it was left out. presents: frame in the episode.
    """

    episodes: Int64[np.ndarray, " rows"]
    presents: Int64[np.ndarray, " rows"]

    @classmethod
    def of(cls, dataset: Dataset, clips: ClipSampler) -> _Places:
        position = {one.index: i for i, one in enumerate(clips.cache.episodes)}
        lengths = [one.length for one in dataset.episodes]
        found = [position.get(one.index, -1) for one in dataset.episodes]
        return cls(
            episodes=np.repeat(np.asarray(found, np.int64), lengths),
            presents=np.concatenate([np.arange(length) for length in lengths]),
        )


@dataclass(frozen=True)
class _Labelling:
    """A model and the clips around each row."""

    model: Any
    device: str
    clips: ClipSampler
    places: _Places
    batch_size: int

    def label(self, piece: Piece, bar: FramesProgress) -> Rows:
        """The latents of some rows; zeros, and not valid, where an episode is damaged."""
        rows = np.arange(piece.start, piece.stop)
        usable = rows[self.places.episodes[rows] >= 0]
        batches = [usable[i : i + self.batch_size] for i in range(0, len(usable), self.batch_size)]
        space = self.model.spec()
        values = np.zeros((len(rows), *space.shape), np.float32)
        codes = np.zeros((len(rows), space.shape[0]), np.uint16)
        history = self.model.config.history
        with Prefetch(lambda i: self._clips(batches[i]), stop=len(batches)) as made:
            for part, clips in zip(batches, made, strict=True):
                encoded = self._encode(clips)
                values[part - piece.start] = encoded.values[:, history].float().cpu()
                if encoded.codes is not None:
                    codes[part - piece.start] = encoded.codes[:, history].cpu()
                bar.advance(len(part))
        bar.advance(len(rows) - len(usable))
        return Rows(values, codes if space.codebook_size else None, self._valid(rows))

    def _clips(self, rows: Int64[np.ndarray, " part"]) -> Clips:
        return self.clips.at(self.places.episodes[rows], self.places.presents[rows])

    @torch.no_grad()
    def _encode(self, clips: Clips) -> Encoded:
        return self.model.encode(to_batch(clips, device=self.device))

    def _valid(self, rows: Int64[np.ndarray, " rows"]) -> Bool[np.ndarray, " rows"]:
        episodes, presents = self.places.episodes[rows], self.places.presents[rows]
        last = [
            episode.length - 1 - self.clips.gap_frames(i)
            for i, episode in enumerate(self.clips.cache.episodes)
        ]
        return (episodes >= 0) & (presents <= np.asarray(last)[episodes])


def _video_config(opened: OpenedSystem) -> Any:
    config = opened.model.config
    if not isinstance(opened.model, Labeler) or not hasattr(config, "image_size"):
        raise UserError(f"'{opened.name}' encodes no video: there is nothing to label with it")
    return config


def _learnt_from(opened: OpenedSystem, dataset: Dataset) -> str | None:
    """The last word of the model's camera, where the dataset has one of that name."""
    words = {key.rpartition(".")[2] for key in dataset.cameras}
    names = [camera.name.rpartition(".")[2] for camera in opened.checkpoint.spec.cameras]
    return next((name for name in names if name in words), None)
