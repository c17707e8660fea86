"""What every simulated world and expert offers; needs neither MuJoCo nor ROS."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from lam_models.command import unknown
from lam_models.geometry import Pose
from lam_models.sense.pinhole import Pinhole
from lam_models.types import Action


@dataclass(frozen=True)
class Truth:
    """What a simulation knows at one instant: enough for any expert and success test.

    time_s: simulated time since the reset.
    joint_names: the end effector's actuated joints, in the order of `Action.hand`.
    joint_positions: measured, rad or m.
    bodies: pose of each named scene body in the base frame.
    scalars: named numbers with the unit in the name, e.g. "drawer.opening_m".
    """

    time_s: float
    T_base_ee: Pose
    joint_names: tuple[str, ...]
    joint_positions: Float64[np.ndarray, " joints"]
    bodies: Mapping[str, Pose]
    scalars: Mapping[str, float]


class Expert(Protocol):
    """A scripted demonstrator of one episode. It sees only Truth, so it also works over ROS."""

    def act(self, truth: Truth) -> Action: ...


class World(Protocol):
    """A simulated robot at a task. `action_names` are six delta names, then the hand's joints.

    pinholes: of the cameras that stand still and are calibrated.
    """

    control_hz: float
    action_names: tuple[str, ...]
    state_names: tuple[str, ...]
    environment_names: tuple[str, ...]
    cameras: tuple[str, ...]
    pinholes: Mapping[str, Pinhole]
    instruction: str

    def reset(self, seed: int) -> None: ...

    def step(self, action: Action) -> None: ...

    def truth(self) -> Truth: ...

    def proprioception(self) -> Float32[np.ndarray, " n"]: ...

    def environment_state(self) -> Float32[np.ndarray, " m"]: ...

    def render(self, camera: str, height: int, width: int) -> UInt8[np.ndarray, "h w 3"]: ...

    def succeeded(self) -> bool: ...

    def expert(self) -> Expert: ...

    def close(self) -> None: ...


def find(thing: str, name: str, registry: Mapping[str, str]) -> Any:
    """The class that `registry` ("module:Class" by name) lists; an unknown name is a UserError."""
    if name not in registry:
        raise unknown(thing, name, registry)
    module, _, attribute = registry[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
