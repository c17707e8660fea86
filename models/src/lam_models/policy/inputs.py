"""What the network of a policy reads, made alike from a robot's observation and from a dataset.

Shapes never depend on the content: instructions are cut or padded to WORDS words, and all that can
be prepared without the network is prepared here, in NumPy.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt8
from torch import Tensor

from lam_models.checkpoint import CameraSpec
from lam_models.command import UserError, unknown
from lam_models.sense.pixels import fit
from lam_models.types import Observation

WORDS = 20
# A word is the sum of two rows of a table, so that few words share both (Svenstrup et al. 2017,
# arXiv 1709.03933): there is no vocabulary to agree on.
HASHES = 2
BUCKETS = 1024
# Position (m), then the first two columns of the rotation: unlike a rotation vector near pi, they
# change no more than the pose does.
POSE_FEATURES = 9
EE = "ee"
EE_NAMES = ("ee.x_m", "ee.y_m", "ee.z_m", "ee.rx_rad", "ee.ry_rad", "ee.rz_rad")
# Of a chunk, before now.
HELD_STEPS = (1, 4, 8)
_SMALL_RAD = 1e-6


@dataclass(frozen=True)
class Inputs:
    """words: rows of the table of words, 0 for padding. delay: steps until the chunk begins.

    held: hand latents that were commanded HELD_STEPS before, of the first rows; nothing where none
        is known. What the hand does next depends on how long it has been closed.
    places: features of the poses that the end effector goes to (places.py), where they were found
        already; None where they are to be found.
    """

    pixels: UInt8[Tensor, "batch cameras height width 3"]
    state: Float[Tensor, "batch features"]
    words: Int64[Tensor, "batch words hashes"]
    delay: Float[Tensor, " batch"]
    held: Float[Tensor, "holding told"] | None = None
    places: Float[Tensor, "placed places features"] | None = None

    def tensors(self) -> dict[str, Tensor]:
        """What there is to read, by name."""
        found = {field.name: getattr(self, field.name) for field in fields(Inputs)}
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True)
class Examples(Inputs):
    """Inputs with what is to be learnt from them.

    chunk: steps of an end-effector delta (m, rad) and a hand latent, of the first rows.
    places: of the same rows, too, and which of them can be seen to be there.
    codes, values: the motion latent, as codes or, of a continuous space, as values, of the last.
    showing: more rows, of which nothing is learnt but their places.
    """

    chunk: Float[Tensor, "labelled steps numbers"] | None = None
    places_known: Bool[Tensor, "placed places"] | None = None
    codes: Int64[Tensor, "moving tokens"] | None = None
    values: Float[Tensor, "moving tokens dim"] | None = None
    showing: Examples | None = None


def word_rows(instructions: Sequence[str]) -> Int64[np.ndarray, "batch words hashes"]:
    """Rows of the table for each word of each instruction; longer ones are cut at WORDS."""
    out = np.zeros((len(instructions), WORDS, HASHES), np.int64)
    for row, text in enumerate(instructions):
        for place, word in enumerate(re.findall(r"\w+", text.lower())[:WORDS]):
            for salt in range(HASHES):
                out[row, place, salt] = 1 + zlib.crc32(f"{salt}{word}".encode()) % BUCKETS
    return out


def pose_features(ee: Float[np.ndarray, "*batch 6"]) -> Float32[np.ndarray, "*batch 9"]:
    """Of positions [m] with rotation vectors [rad]."""
    vector = np.asarray(ee[..., 3:6], np.float64)
    angle = np.linalg.norm(vector, axis=-1)[..., None, None]
    x, y, z = np.moveaxis(vector, -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(*x.shape, 3, 3)
    small = angle < _SMALL_RAD
    safe = np.where(small, 1.0, angle)
    sine = np.where(small, 1.0, np.sin(safe) / safe)
    cosine = np.where(small, 0.5, (1.0 - np.cos(safe)) / safe**2)
    rotation = np.eye(3) + sine * cross + cosine * (cross @ cross)
    columns = [ee[..., :3], rotation[..., 0], rotation[..., 1]]
    return np.concatenate(columns, axis=-1).astype(np.float32)


def observed(
    observation: Observation,
    cameras: Sequence[CameraSpec],
    delay: int,
    device: torch.device | str,
    read_words: Callable[[Sequence[str]], Int64[np.ndarray, "batch words hashes"]] = word_rows,
) -> Inputs:
    """The inputs of one observation. UserError names a camera or state that is not there."""
    for thing, name, there in (
        *(("camera of the observation", camera.name, observation.frames) for camera in cameras),
        ("state of the observation", EE, observation.state),
    ):
        if name not in there:
            raise unknown(thing, name, there)
    ee = observation.state[EE]
    if ee.shape != (6,):
        raise UserError(f"state '{EE}' has {ee.size} numbers, not the 6 of {', '.join(EE_NAMES)}")
    images = [
        fit(observation.frames[camera.name].pixels, camera.height, camera.width, camera.fit)
        for camera in cameras
    ]
    return Inputs(
        pixels=torch.from_numpy(np.stack(images)[None]).to(device),
        state=torch.from_numpy(pose_features(ee)[None]).to(device),
        words=torch.from_numpy(read_words([observation.instruction])).to(device),
        delay=torch.full((1,), float(delay), device=device),
    )
