"""A system under examination: bytes of frames go in, what it makes of them comes out.

Everything runs batch by batch, without gradients, and comes back on the CPU. The step that counts
is the one from the present frame, `history` frames into a clip, to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, Shaped, UInt8
from torch import Tensor

from lam_models.data.clips import Clips
from lam_models.systems.roles import ClipBatch, Decoder, Seer

Rows = Int64[np.ndarray, " rows"]


@dataclass(frozen=True)
class Latents:
    """One latent a clip, as `systems.roles.Encoded` says."""

    values: Float[Tensor, "clips tokens dim"]
    codes: Int64[Tensor, "clips tokens"] | None = None
    unquantised: Float[Tensor, "clips tokens dim"] | None = None


@dataclass(frozen=True)
class Subject:
    """A system in evaluation mode on `device`, and how many clips it is given at once."""

    model: Any
    device: str = "cpu"
    batch_size: int = 64

    @property
    def history(self) -> int:
        return self.model.config.history

    @property
    def decodes(self) -> bool:
        """Whether it predicts the next frame at all."""
        return isinstance(self.model, Decoder)

    @property
    def predicts_features(self) -> bool:
        """Whether it predicts features of the next frame instead of its pixels."""
        return isinstance(self.model, Seer)

    @torch.no_grad()
    def encode(self, clips: Clips) -> Latents:
        """The latents of the step after the present frame, from clips of training length."""
        parts = []
        for rows in self._batches(len(clips.frames)):
            frames = self.images(clips.frames[rows, : self.model.config.frames])
            words = tuple(clips.instructions[i] for i in rows) if clips.instructions else ()
            parts.append(self._encode(frames, words))
        codes = [p.codes for p in parts if p.codes is not None]
        unquantised = [p.unquantised for p in parts if p.unquantised is not None]
        return Latents(
            torch.cat([p.values for p in parts]),
            torch.cat(codes) if codes else None,
            torch.cat(unquantised) if unquantised else None,
        )

    @torch.no_grad()
    def error(
        self, values: Float[Tensor, "clips tokens dim"], clips: Clips
    ) -> Float[Tensor, " clips"]:
        """Mean squared error, clip by clip, of what `values` predict against the next frame."""
        parts = []
        for rows in self._batches(len(values)):
            target = self.see(self.images(clips.frames[rows, self.history + 1]))
            parts.append(squared_error(self._decode(values, clips, rows), target))
        return torch.cat(parts).cpu()

    @torch.no_grad()
    def change(self, clips: Clips) -> Float[Tensor, " clips"]:
        """The same error of leaving the present frame as it is."""
        parts = []
        for rows in self._batches(len(clips.frames)):
            present = self.see(self.images(clips.frames[rows, self.history]))
            following = self.see(self.images(clips.frames[rows, self.history + 1]))
            parts.append(squared_error(present, following))
        return torch.cat(parts).cpu()

    @torch.no_grad()
    def again(
        self, values: Float[Tensor, "clips tokens dim"], clips: Clips
    ) -> Float[Tensor, "clips tokens dim"]:
        """Latents of the pairs of present frames and what `values` make of them (pixels only)."""
        parts = []
        for rows in self._batches(len(values)):
            past = self.images(clips.frames[rows, : self.history + 1])
            # A vector model may return a flat image; a picture's values are 0 to 1.
            made = self._decode(values, clips, rows).reshape(past[:, -1].shape).clamp(0, 1)
            words = tuple(clips.instructions[i] for i in rows) if clips.instructions else ()
            parts.append(self._encode(torch.cat([past, made[:, None]], 1), words).values)
        return torch.cat(parts)

    @torch.no_grad()
    def predict(
        self, values: Float[Tensor, "clips tokens dim"], clips: Clips
    ) -> Float[Tensor, "clips ..."]:
        """All predictions at once: for a few clips only."""
        rows = self._batches(len(values))
        return torch.cat([self._decode(values, clips, chosen).cpu() for chosen in rows])

    def see(self, images: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch ..."]:
        """Frames as the system predicts them: features of them, or themselves."""
        return self.model.see(images) if self.predicts_features else images

    def images(self, frames: UInt8[np.ndarray, "*n h w 3"]) -> Float[Tensor, "*n 3 h w"]:
        """Bytes as values 0 to 1 on the device."""
        return torch.from_numpy(frames).to(self.device).movedim(-1, -3).float() / 255

    def _encode(self, frames: Float[Tensor, "batch t 3 h w"], words: tuple[str, ...]) -> Latents:
        encoded, at = self.model.encode(ClipBatch(frames, instructions=words)), self.history
        codes, unquantised = encoded.codes, encoded.unquantised
        return Latents(
            encoded.values[:, at].float().cpu(),
            None if codes is None else codes[:, at].cpu(),
            None if unquantised is None else unquantised[:, at].float().cpu(),
        )

    def _decode(self, values: Tensor, clips: Clips, rows: Rows) -> Float[Tensor, "batch ..."]:
        past = self.images(clips.frames[rows, : self.history + 1])
        return self.model.decode(values[torch.from_numpy(rows)].to(self.device), past)

    def _batches(self, count: int) -> Iterator[Rows]:
        for start in range(0, count, self.batch_size):
            yield np.arange(start, min(start + self.batch_size, count))


def squared_error(
    a: Float[Tensor, "batch ..."], b: Float[Tensor, "batch ..."]
) -> Float[Tensor, " batch"]:
    """Mean squared difference of each row."""
    return (a.flatten(1).float() - b.flatten(1).float()).square().mean(1)


def chosen(clips: Clips, rows: Rows) -> Clips:
    """These clips, in this order."""

    def of(column: Shaped[np.ndarray, "clips ..."] | None):
        return None if column is None else column[rows]

    return replace(
        clips,
        frames=clips.frames[rows],
        actions=of(clips.actions),
        states=of(clips.states),
        environments=of(clips.environments),
        episodes=clips.episodes[rows],
        starts=clips.starts[rows],
        instructions=tuple(clips.instructions[i] for i in rows) if clips.instructions else (),
    )


def showing(clips: Clips, frames: UInt8[np.ndarray, "clips t h w 3"]) -> Clips:
    """These frames instead, of which nothing more is known."""
    return replace(clips, frames=frames, actions=None, states=None, environments=None)


def elsewhere(episodes: Int64[np.ndarray, " clips"], seed: int) -> Rows:
    """For each clip another one at random, of another episode; each is taken once.

    Where one episode has more than half of the clips, some partners are of the same episode.
    """
    rng = np.random.default_rng([seed, len(episodes)])
    names, inverse, counts = np.unique(episodes, return_inverse=True, return_counts=True)
    mixed = rng.permutation(len(episodes))
    order = mixed[np.argsort(rng.permutation(len(names))[inverse[mixed]], kind="stable")]
    largest = int(counts.max())
    step = largest if 2 * largest <= len(episodes) else len(episodes) // 2
    partner = np.empty_like(order)
    partner[order] = np.roll(order, step)
    return partner
