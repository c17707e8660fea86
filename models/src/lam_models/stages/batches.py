"""Clips as they lie in memory, to batches as systems read them, on a device."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from lam_models.data.clips import Clips
from lam_models.systems.roles import ClipBatch

Batch = TypeVar("Batch")


def to_batch(
    clips: Clips,
    action_stats: Mapping[str, np.ndarray] | None = None,
    device: torch.device | str = "cpu",
    labelled_episodes: Collection[int] | None = None,
) -> ClipBatch:
    """Frames from 0 to 1, actions in standard deviations from their mean.

    action_stats: "mean" and "std" of each column; without them the batch has no actions.
    labelled_episodes: those whose actions may be used; None allows all.
    """
    actions = labelled = None
    if action_stats is not None and clips.actions is not None:
        scaled = (clips.actions - action_stats["mean"]) / action_stats["std"]
        actions = _send(torch.from_numpy(scaled.astype(np.float32)), device)
        if labelled_episodes is not None:
            may_be_used = np.isin(clips.episodes, list(labelled_episodes))
            labelled = _send(torch.from_numpy(may_be_used), device)
    # As bytes to the device: a quarter of what floats would take.
    images = _send(torch.from_numpy(clips.frames), device).movedim(-1, 2).contiguous()
    return ClipBatch(images.float().div_(255.0), actions, labelled, clips.instructions)


def to_device(batch: Batch, device: torch.device | str) -> Batch:
    """The batch, any dataclass, with all its tensors there; itself where they are there already."""
    tensors = batch_tensors(batch).values()
    if all(tensor.device.type == torch.device(device).type for tensor in tensors):
        return batch
    sent: dict[str, Any] = {}
    for name, value in vars(batch).items():
        if isinstance(value, Tensor):
            sent[name] = _send(value, device)
        elif dataclasses.is_dataclass(value):
            sent[name] = to_device(value, device)
    content: Any = batch
    return dataclasses.replace(content, **sent)


def batch_tensors(batch: object) -> dict[str, Tensor]:
    """The tensors that the batch has, by name; those of a batch within it with both names."""
    found: dict[str, Tensor] = {}
    for name, value in vars(batch).items():
        if isinstance(value, Tensor):
            found[name] = value
        elif dataclasses.is_dataclass(value):
            found |= {f"{name}.{k}": v for k, v in batch_tensors(value).items()}
    return found


def _send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Only pinned memory is copied while the GPU computes."""
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def action_statistics(actions: np.ndarray, least_std: float = 1e-6) -> dict[str, np.ndarray]:
    """Mean and standard deviation of each column of [... action]; one that never changes has 1."""
    flat = actions.reshape(-1, actions.shape[-1]).astype(np.float64)
    std = flat.std(0)
    return {"mean": flat.mean(0), "std": np.where(std < least_std, 1.0, std)}
