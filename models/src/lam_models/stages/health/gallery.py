"""What a system makes of a few clips, as pictures side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from lam_models.data.clips import Clips
from lam_models.stages.health.subject import Subject, chosen, elsewhere

# Frames among which a predicted feature looks for its nearest.
_MOST_IN_BANK = 256

Images = UInt8[np.ndarray, "rows h w 3"]


@dataclass(frozen=True)
class Gallery:
    """Columns of pictures by title, one row a clip.

    nearest: whether predictions are of features, so that the frames nearest to them are shown.
    """

    columns: dict[str, Images]
    nearest: bool


def gallery(
    model: Any, clips: Clips, *, rows: int = 6, seed: int = 0, device: str = "cpu"
) -> Gallery:
    """Clips in which much changes, what the system predicts, and another clip's latent there."""
    subject = Subject(model.eval(), device)
    if not subject.decodes:
        return Gallery({}, nearest=False)
    at = subject.history
    shown = chosen(clips, _lively(clips, at, rows, seed))
    donor_rows = elsewhere(shown.episodes, seed)
    donors, latents = chosen(shown, donor_rows), subject.encode(shown).values
    predicted = subject.predict(latents, shown)
    moved = subject.predict(latents[torch.from_numpy(donor_rows)], shown)
    if subject.predicts_features:
        bank, features = _bank(subject, clips, seed)
        pictures = [bank[_nearest(made, features)] for made in (predicted, moved)]
    else:
        shape = shown.frames[:, at].shape
        pictures = [_bytes(made, shape) for made in (predicted, moved)]
    columns = {
        "present": shown.frames[:, at],
        "next, true": shown.frames[:, at + 1],
        "next, predicted": pictures[0],
        "another clip": donors.frames[:, at],
        "its next": donors.frames[:, at + 1],
        "its latent here": pictures[1],
    }
    return Gallery(columns, subject.predicts_features)


def _lively(clips: Clips, at: int, rows: int, seed: int) -> np.ndarray:
    """Clips drawn from the quarter that changes most over the step."""
    change = [
        np.abs(later.astype(np.int16) - now).mean()
        for now, later in zip(clips.frames[:, at], clips.frames[:, at + 1], strict=True)
    ]
    lively = np.argsort(change)[-max(rows, len(change) // 4) :]
    return np.random.default_rng([seed, 4]).permutation(lively)[:rows]


def _bank(subject: Subject, clips: Clips, seed: int) -> tuple[Images, Float[Tensor, "frames d"]]:
    """Frames of some clips, present and next, and their features."""
    some = np.random.default_rng([seed, 5]).permutation(len(clips.frames))[: _MOST_IN_BANK // 2]
    at = subject.history
    frames = np.concatenate([clips.frames[some, at], clips.frames[some, at + 1]])
    with torch.no_grad():
        parts = [
            subject.see(subject.images(frames[i : i + subject.batch_size])).flatten(1).cpu()
            for i in range(0, len(frames), subject.batch_size)
        ]
    return frames, torch.cat(parts)


def _nearest(made: Float[Tensor, "rows ..."], bank: Float[Tensor, "frames d"]) -> np.ndarray:
    return torch.cdist(made.flatten(1).float(), bank.float()).argmin(1).numpy()


def _bytes(made: Float[Tensor, "rows ..."], shape: tuple[int, ...]) -> Images:
    """Predicted pixels as images of this shape."""
    rows, height, width, _ = shape
    images = made.reshape(rows, 3, height, width).clamp(0, 1).movedim(1, -1)
    return (255 * images).round().to(torch.uint8).numpy()
