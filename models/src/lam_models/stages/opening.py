"""A trained system as a folder, and back: weights, configuration and what they belong to.

A folder is self-contained: opening one builds shapes and loads numbers, and never downloads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from lam_models.checkpoint import Checkpoint, Origin, Spec, open_checkpoint, write
from lam_models.command import UserError
from lam_models.strict_json import from_json, to_json
from lam_models.systems import find

Stats = Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class OpenedSystem:
    """model: in evaluation. checkpoint: all else that the folder says."""

    model: Any
    checkpoint: Checkpoint

    @property
    def name(self) -> str:
        """The system's name in the registry."""
        return self.checkpoint.system


def save_system(
    path: Path | str,
    model: Any,
    name: str,
    origin: Origin,
    *,
    spec: Spec | None = None,
    stats: Stats | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the system `name` of the registry with all its buffers, half precision as float32.

    spec: what the model sees; without one, only the latent space that it emits is noted.
    stats: e.g. {"action": {"mean": ..., "std": ...}}.
    """
    content = Checkpoint(
        system=name,
        config=to_json(model.config),
        spec=Spec(emits=(model.spec(),)) if spec is None else spec,
        origin=origin,
        tensors={key: as_array(value) for key, value in model.state_dict().items()},
        stats=stats or {},
    )
    return write(path, content, overwrite)


def open_system(path: Path | str, device: str | torch.device = "cpu") -> OpenedSystem:
    """The system of a folder, in evaluation. Refuses by name whatever does not fit it."""
    checkpoint = open_checkpoint(path)
    kind = find(checkpoint.system)
    config = configure(kind, checkpoint.config, f"{path}/config.json")
    # Initial weights are drawn only to be replaced: the caller's random numbers stay as they are.
    with torch.random.fork_rng(devices=[]):
        model = kind(config)
    load(model, checkpoint)
    return OpenedSystem(model.to(device).eval(), checkpoint)


def configure(kind: Any, content: Mapping[str, Any], where: str) -> Any:
    """The Config of a system's class; an impossible one is a UserError. `where` names the place."""
    try:
        return from_json(kind.Config, content, where)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def load(model: nn.Module, checkpoint: Checkpoint) -> None:
    """Put a folder's tensors into the module; names and shapes must be exactly its own."""
    own = model.state_dict()
    checkpoint.check_shapes({name: tuple(value.shape) for name, value in own.items()})
    for name, value in own.items():
        if value.is_floating_point() != np.issubdtype(checkpoint.tensors[name].dtype, np.floating):
            found = checkpoint.tensors[name].dtype
            raise UserError(f"tensor '{name}' holds {found}, '{checkpoint.system}' {value.dtype}")
    model.load_state_dict({k: torch.from_numpy(np.array(v)) for k, v in checkpoint.tensors.items()})


def as_array(value: Shaped[Tensor, "..."]) -> Shaped[np.ndarray, "..."]:
    """NumPy knows no bfloat16; float32 holds all of it, and of float16, exactly."""
    value = value.detach().cpu()
    return (value.float() if value.dtype in (torch.bfloat16, torch.float16) else value).numpy()
