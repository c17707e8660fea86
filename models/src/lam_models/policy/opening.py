"""A policy folder, opened: the one way by which a node gets something that acts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lam_models.checkpoint import Checkpoint, Spec, open_checkpoint
from lam_models.command import UserError, unknown
from lam_models.policy import find
from lam_models.types import LatentSpec

# Whose axes a motion has: the robot's base, or its end effector (geometry.apply_delta).
AXES = ("base", "ee")


@dataclass(frozen=True)
class OpenedPolicy:
    """policy: a systems.roles.LatentPolicy, in evaluation. weights_hash: of its folder."""

    policy: Any
    spec: Spec
    weights_hash: str = ""


def open_policy(path: Path | str, device: str = "cpu") -> OpenedPolicy:
    """The policy of a folder. UserError for a damaged folder or one that holds no policy."""
    checkpoint = open_checkpoint(path)
    check_spec(checkpoint, path)
    policy = find(checkpoint.system).open(checkpoint, device)
    return OpenedPolicy(policy, checkpoint.spec, checkpoint.origin.weights_hash)


def check_spec(checkpoint: Checkpoint, path: Path | str) -> None:
    """UserError where what the folder says of itself does not describe a policy."""
    find(checkpoint.system)
    spec = checkpoint.spec
    where = f"{path}/spec.json"
    if spec.chunk_steps < 1:
        raise UserError(f"{where}: chunk_steps is {spec.chunk_steps}, a policy emits at least 1")
    if spec.delta_axes not in AXES:
        raise UserError(f"{where}: {unknown('delta_axes', spec.delta_axes, AXES)}")
    hand_space(spec)


def hand_space(spec: Spec) -> LatentSpec:
    """The one space of hand latents that a policy emits."""
    spaces = [space for space in spec.emits if space.kind == "hand"]
    if len(spaces) != 1:
        raise UserError(f"a policy emits latents of one hand space, this one of {len(spaces)}")
    return spaces[0]
