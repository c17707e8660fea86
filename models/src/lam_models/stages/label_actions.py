"""Actions and poses read from video by an inverse-dynamics model, written beside it (VPT).

Every window of a gap says the actions of its steps; an action is the mean of what all windows
around it say. The labelled episodes that the model learnt of keep their own actions and poses.
Where they are written and how they are read: data/pseudo_actions.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from lam_models.checkpoint import Checkpoint, open_checkpoint
from lam_models.command import UserError
from lam_models.data.cache import open_cache
from lam_models.data.latents import LatentOrigin, Latents, LatentsWriter, Piece, Rows
from lam_models.data.lerobot_layout import PSEUDO_ACTIONS
from lam_models.data.lerobot_read import Dataset
from lam_models.data.progress import frames_progress
from lam_models.data.pseudo_actions import DELTA, PseudoActions, dataset_rows, pseudo_space
from lam_models.hands.space import HandSpace, open_space
from lam_models.policy.inverse import Inverse
from lam_models.policy.opening import hand_space
from lam_models.stages.demonstrations import Demonstrations, Wanted, open_demonstrations
from lam_models.stages.fit_idm import KIND, LABELLED
from lam_models.stages.idm_data import moments


@dataclass(frozen=True)
class OpenedIdm:
    """An inverse-dynamics model and the folder it came from."""

    model: Inverse
    checkpoint: Checkpoint

    def wanted(self, space: HandSpace | None, cache: str) -> Wanted:
        """What it reads of a dataset; actions too where the space of hands is given."""
        c = self.model.config
        return Wanted(c.cameras, c.image_size, c.dt_s, c.gap_steps, space, cache=cache)


def open_idm(path: Path, device: str = "cpu") -> OpenedIdm:
    """UserError for a folder of something else."""
    checkpoint = open_checkpoint(path)
    if checkpoint.system != KIND:
        raise UserError(f"{path} holds '{checkpoint.system}': actions are read by '{KIND}'")
    return OpenedIdm(Inverse.open(checkpoint, device), checkpoint)


def label_actions(
    model: Path,
    dataset: Path,
    *,
    space: str = "",
    batch_size: int = 64,
    cache: str = "raw",
    device: str = "cpu",
) -> Latents:
    """Write what is missing of the actions that the model reads of a dataset, and open them.

    space: folder of the space of hands, for the episodes that keep their own actions.
    """
    idm, data = open_idm(model, device), Dataset.open(dataset)
    checkpoint, c = idm.checkpoint, idm.model.config
    actions_space = pseudo_space(
        hand_space(checkpoint.spec), c.dt_s, checkpoint.origin.weights_hash
    )
    front = open_cache(dataset, camera=c.cameras[0], size=c.image_size, kind=cache)
    origin = LatentOrigin(actions_space, front.camera, data.content_hash)
    writer = LatentsWriter(data, origin, PSEUDO_ACTIONS)
    if missing := writer.missing():
        known = _known_episodes(checkpoint, data)
        hands = open_space(space) if known else None
        seen = open_demonstrations(dataset, idm.wanted(hands, cache))
        with frames_progress(f"reading actions of {dataset.name}", len(seen.lasts)) as bar:
            read = np.zeros((len(seen.lasts), actions_space.shape[1]), np.float32)
            for i, episode in enumerate(seen.caches[0].episodes):
                if episode.index in known:
                    told = _own(seen, slice(episode.start, episode.stop), c.poses)
                else:
                    told = read_episode(idm.model, seen, i, batch_size)
                read[episode.start : episode.stop] = told.rows()
                bar.advance(episode.length)
        for piece in missing:
            writer.write(piece, _piece(piece, read, dataset_rows(data, seen.caches[0])))
    writer.finish()
    return Latents.open(data, writer.path.name, PSEUDO_ACTIONS)


def read_episode(
    model: Inverse, seen: Demonstrations, episode: int, batch_size: int = 64
) -> PseudoActions:
    """The pose at each row, and its action, the mean of what the windows around it say.

    The last step leads out of the episode: its action is that of the one before.
    """
    c, span = model.config, seen.caches[0].episodes[episode]
    stride, gap = seen.frames_a_step, c.gap_steps * seen.frames_a_step
    starts = np.arange(span.start, max(span.start + 1, span.stop - gap))
    total = np.zeros((span.length, DELTA + c.latent_dim))
    count = np.zeros(span.length)
    device = next(model.parameters()).device
    for first in range(0, len(starts), batch_size):
        rows = starts[first : first + batch_size]
        told = model.infer(moments(seen, rows, c.gap_steps).to(device)).float().cpu().numpy()
        for step in range(c.gap_steps):
            at = rows - span.start + step * stride
            there = at < span.length
            total[at[there]] += told[there, step]
            count[at[there]] += 1
    total[count > 0] /= count[count > 0, None]
    nearest = np.maximum.accumulate(np.where(count > 0, np.arange(span.length), 0))
    hands = total[:, DELTA:]
    hands /= np.maximum(np.linalg.norm(hands, axis=1, keepdims=True), 1e-6)
    every = np.arange(span.start, span.stop)
    poses = read_poses(model, seen, every, batch_size)
    return PseudoActions(total[nearest].astype(np.float32), poses)


def read_poses(
    model: Inverse, seen: Demonstrations, rows: np.ndarray, batch_size: int
) -> Float32[np.ndarray, "rows 9"] | None:
    """Of the end effector, as the first camera shows it; None of a model that reads none."""
    if model.poses is None:
        return None
    device, pictures = next(model.parameters()).device, seen.caches[0]
    parts = [rows[first : first + batch_size] for first in range(0, len(rows), batch_size)]
    found = [model.poses.read(torch.from_numpy(pictures.frames(part)).to(device)) for part in parts]
    return torch.cat(found).float().cpu().numpy()


def _own(seen: Demonstrations, rows: slice, poses: bool) -> PseudoActions:
    """What is known of the rows of an episode that the model learnt of."""
    assert seen.actions is not None
    return PseudoActions(seen.actions[rows], seen.features[rows] if poses else None)


def _known_episodes(checkpoint: Checkpoint, data: Dataset) -> frozenset[int]:
    """Indices of the dataset's episodes that the model learnt of."""
    cached = checkpoint.stats.get(LABELLED, {}).get(data.content_hash)
    return frozenset() if cached is None else frozenset(int(i) for i in cached)


def _piece(piece: Piece, read: np.ndarray, rows: np.ndarray) -> Rows:
    """The rows of one piece; those of damaged episodes are zeros, and not valid."""
    values = np.zeros((piece.stop - piece.start, 1, read.shape[1]), np.float32)
    valid = np.zeros(len(values), bool)
    here = (rows >= piece.start) & (rows < piece.stop)
    values[rows[here] - piece.start, 0] = read[here]
    valid[rows[here] - piece.start] = True
    return Rows(values, None, valid)
