"""A trained policy as the folder that travels to a robot: half precision, nothing of its training.

Weights become float16; small tensors, statistics and biases among them, stay as they are, for they
weigh nothing and some are tiny numbers. What that changes is measured on random inputs and told.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Shaped

from lam_models.checkpoint import Checkpoint, open_checkpoint, write
from lam_models.command import UserError
from lam_models.policy import find
from lam_models.policy.inputs import POSE_FEATURES, Inputs
from lam_models.policy.opening import check_spec
from lam_models.policy.slot_config import Config
from lam_models.policy.slot_policy import SlotPolicy
from lam_models.strict_json import from_json

_SMALL = 1024
_LARGEST_HALF = float(np.finfo(np.float16).max)
_TRIED = 8
_TASK = "put the red cube into the bowl"


@dataclass(frozen=True)
class Exported:
    """size_bytes: of the weights. moved_m: greatest change of a step's translation, on _TRIED
    random inputs; turned: greatest change of a number of a hand latent."""

    path: Path
    size_bytes: int
    moved_m: float
    turned: float


def export(path: Path, out: Path, overwrite: bool = False) -> Exported:
    """Write the policy of `path` to `out`. UserError for a folder that holds no acting policy."""
    checkpoint = open_checkpoint(path)
    check_spec(checkpoint, path)
    if find(checkpoint.system) is not SlotPolicy:
        raise UserError(f"{path} holds '{checkpoint.system}', which has no weights to halve")
    origin = dataclasses.replace(checkpoint.origin, recipe=checkpoint.origin.recipe + ", fp16")
    tensors = {name: halved(value) for name, value in checkpoint.tensors.items()}
    content = dataclasses.replace(checkpoint, origin=origin, tensors=tensors)
    write(out, content, overwrite)
    before, after = (_answers(one) for one in (checkpoint, open_checkpoint(out)))
    change = np.abs(before - after)
    size = (out / "model.safetensors").stat().st_size
    return Exported(out, size, float(change[..., :3].max()), float(change[..., 6:].max()))


def halved(value: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """As float16 where it is large and fits."""
    fits = value.dtype == np.float32 and value.size > _SMALL
    return value.astype(np.float16) if fits and np.abs(value).max() < _LARGEST_HALF else value


def _answers(checkpoint: Checkpoint) -> Float32[np.ndarray, "rows steps numbers"]:
    """Chunks for inputs that are the same each time."""
    policy = SlotPolicy.open(checkpoint, "cpu")
    config = from_json(Config, checkpoint.config, "config.json")
    random = torch.Generator().manual_seed(0)
    shape = (_TRIED, len(config.cameras), config.image_size, config.image_size, 3)
    features = torch.randn(_TRIED, POSE_FEATURES, generator=random)
    inputs = Inputs(
        pixels=torch.randint(0, 256, shape, generator=random, dtype=torch.uint8),
        state=policy.backbone.mean + policy.backbone.scale * features,
        words=torch.from_numpy(policy.backbone.read_words([_TASK] * _TRIED)),
        delay=torch.zeros(_TRIED),
    )
    return policy.answer(inputs)[0].numpy()
