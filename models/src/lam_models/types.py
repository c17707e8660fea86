"""The vocabulary shared by training and run time: plain NumPy values, no behaviour.

Frames are images, observations are what a policy sees at one instant, latents are what it emits,
chunks are what a robot executes. Every array names its shape, every number its unit.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, UInt8, UInt16

LatentKind = Literal["motion", "hand"]


@dataclass(frozen=True)
class Frame:
    """One camera image.

    `stamp_ns` is the exposure time on the robot's clock.
    """

    pixels: UInt8[np.ndarray, "height width 3"]
    stamp_ns: int


@dataclass(frozen=True)
class Observation:
    """What a policy sees at one instant `stamp_ns`.

    frames: newest image of each camera at or before `stamp_ns`, by camera name.
    state: named proprioception vectors, e.g. "ee" (position m, rotation vector rad) and
        "hand" (joint positions, rad or m).
    """

    stamp_ns: int
    frames: Mapping[str, Frame]
    state: Mapping[str, Float64[np.ndarray, " size"]]
    instruction: str = ""


@dataclass(frozen=True)
class Clip:
    """A stretch of video of one camera, `frames[i]` shown `i * gap_s` after the first.

    `actions` holds the true action that led from each frame to the next where it is known.
    """

    frames: UInt8[np.ndarray, "time height width 3"]
    gap_s: float
    actions: Float32[np.ndarray, "time-1 size"] | None = None
    episode: int = -1


@dataclass(frozen=True)
class LatentSpec:
    """Names one latent space. Two parts understand each other only if their hashes are equal.

    shape: (tokens, dim) of the continuous value.
    codebook_size: number of discrete codes a token, 0 for a continuous space.
    gap_s: the stated time gap of a motion latent; 0.0 for a hand latent.
    weights_hash: content hash of the encoder that defines the space.
    """

    name: str
    kind: LatentKind
    shape: tuple[int, int]
    codebook_size: int = 0
    gap_s: float = 0.0
    weights_hash: str = ""

    @property
    def space_hash(self) -> str:
        """First 16 hex digits of SHA-256 over every field: what each LatentAction carries."""
        text = json.dumps(
            [self.name, self.kind, self.shape, self.codebook_size, self.gap_s, self.weights_hash]
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Latent:
    """A point (or a row of code tokens) of the space `spec`."""

    spec: LatentSpec
    values: Float32[np.ndarray, "tokens dim"]
    codes: UInt16[np.ndarray, " tokens"] | None = None


@dataclass(frozen=True)
class ActionChunk:
    """`steps` future actions of `dt_s` seconds each, the first due at `start_ns`.

    delta_ee: translation m and rotation vector rad a step, in `frame`, applied as
        geometry.apply_delta says.
    hand: hand latent a step, a point of `hand_space`.
    motion_codes: the motion latent behind the chunk, for inspection only.
    """

    start_ns: int
    dt_s: float
    frame: str
    delta_ee: Float32[np.ndarray, "steps 6"]
    hand: Float32[np.ndarray, "steps dim"]
    hand_space: LatentSpec
    motion_codes: UInt16[np.ndarray, " tokens"] | None = None


@dataclass(frozen=True)
class JointCommand:
    """Target positions of named joints, rad for revolute and m for prismatic ones."""

    names: tuple[str, ...]
    positions: Float64[np.ndarray, " joints"]
    stamp_ns: int = 0


@dataclass(frozen=True)
class Action:
    """One control period's command to a simulated or real arm with a hand.

    delta_ee: translation m and rotation vector rad, applied as geometry.apply_delta says.
    hand: joint position targets in the order of the end effector's joint names.
    """

    delta_ee: Float64[np.ndarray, "6"]
    hand: Float64[np.ndarray, " joints"] = field(default_factory=lambda: np.zeros(0))
