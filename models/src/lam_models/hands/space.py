"""One latent space of hands, as a folder: an encoder and a decoder for each hand, in NumPy.

A point of the space is a unit vector. The human hand is one of the hands; its vector is the
20 points but the wrist (human.POINTS) in the palm frame, in metres of the mean hand's size,
flattened. The vector of any other hand is that of its actuated joints (spec.HandSpec), rad or m.

The space is named by the encoders that it was founded with (`space_hash`). A hand that is added
later learns to speak it and leaves the name as it is.

Folder: config.json says the hands' vectors, model.safetensors holds `<hand>.encoder.<i>.weight`
(out, in) and so on, stats.json the centre and scale that each vector is normalised with.
A robot computer needs no torch to decode.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from lam_models import checkpoint as folders
from lam_models.checkpoint import Checkpoint, Origin, Spec
from lam_models.command import UserError, unknown
from lam_models.hands.human import POINTS
from lam_models.hands.spec import HandSpec
from lam_models.strict_json import from_json
from lam_models.types import LatentSpec

HUMAN = "human"
SHIPPED = Path(__file__).parent / "spaces" / "lad32"
SYSTEM = "lad"
_SAME = 1e-4  # Limits closer than this, rad or m, are the same.

Layers = tuple[tuple[Float32[np.ndarray, "_ _"], Float32[np.ndarray, " _"]], ...]
Latents = Float[np.ndarray, "*poses dim"]
Vectors = Float[np.ndarray, "*poses size"]


@dataclass(frozen=True)
class Modality:
    """A hand's vector: what its entries are called and where they end, rad or m.

    lower, upper: none of the human hand, whose entries are coordinates.
    grasp: where latents of a gripper close it (grasp.py), in the frame of the robot's end effector:
        x, y [m] and the turn about z [rad].
    """

    name: str
    entries: tuple[str, ...]
    lower: tuple[float, ...] = ()
    upper: tuple[float, ...] = ()
    grasp: tuple[float, float, float] = (0.0, 0.0, 0.0)


def human_modality() -> Modality:
    """The vector of a human hand: x, y, z of each point after the wrist."""
    return Modality(HUMAN, tuple(f"{point}.{axis}" for point in POINTS[1:] for axis in "xyz"))


def hand_modality(spec: HandSpec) -> Modality:
    """The vector of a hand that a file describes."""
    lower, upper = tuple(spec.lower.tolist()), tuple(spec.upper.tolist())
    return Modality(spec.hand, spec.actuated, lower, upper)


def human_vector(points: Float[np.ndarray, "*poses 21 3"]) -> Float[np.ndarray, "*poses 60"]:
    """The vector of points in the palm frame, brought to the mean hand's size before."""
    return points[..., 1:, :].reshape(*points.shape[:-2], -1)


def human_points(vector: Float[np.ndarray, "*poses 60"]) -> Float[np.ndarray, "*poses 21 3"]:
    """The points of a vector, the wrist at the origin."""
    points = vector.reshape(*vector.shape[:-1], 20, 3)
    return np.concatenate([np.zeros_like(points[..., :1, :]), points], axis=-2)


@dataclass(frozen=True)
class Coder:
    """The two networks of one hand, ReLU between layers, and the normalisation of its vector."""

    modality: Modality
    center: Float32[np.ndarray, " size"]
    scale: Float32[np.ndarray, " size"]
    encoder: Layers
    decoder: Layers

    def encode(self, vectors: Vectors) -> Latents:
        """Points of the sphere."""
        latents = _forward(self._encode_layers, np.asarray(vectors, np.float32))
        return latents / np.maximum(np.linalg.norm(latents, axis=-1, keepdims=True), 1e-6)

    def decode(self, latents: Latents) -> Vectors:
        """Vectors of the hand, within its limits."""
        vectors = _forward(self._decode_layers, np.asarray(latents, np.float32))
        if self._bounds is not None:
            vectors = np.minimum(np.maximum(vectors, self._bounds[0]), self._bounds[1])
        return vectors

    @cached_property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray] | None:
        if not self.modality.lower:
            return None
        # Rounded inwards: the nearest float32 of a limit may lie beyond it.
        lower, upper = np.array(self.modality.lower), np.array(self.modality.upper)
        low, high = lower.astype(np.float32), upper.astype(np.float32)
        up, down = np.float32(np.inf), np.float32(-np.inf)
        return (
            np.where(low < lower, np.nextafter(low, up), low),
            np.where(high > upper, np.nextafter(high, down), high),
        )

    @cached_property
    def _encode_layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        (weight, bias), *rest = self.encoder
        first = weight / self.scale
        return _turned([(first, bias - first @ self.center), *rest])

    @cached_property
    def _decode_layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        *rest, (weight, bias) = self.decoder
        return _turned([*rest, (weight * self.scale[:, None], bias * self.scale + self.center)])


def _turned(layers: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Layers as _forward takes them: weights [in, out], in one piece."""
    return [
        (np.ascontiguousarray(weight.T, np.float32), bias.astype(np.float32))
        for weight, bias in layers
    ]


def _forward(layers: list[tuple[np.ndarray, np.ndarray]], x: np.ndarray) -> np.ndarray:
    *hidden, (last, last_bias) = layers
    for weight, bias in hidden:
        x = x @ weight
        x += bias
        np.maximum(x, 0.0, out=x)
    return x @ last + last_bias


@dataclass(frozen=True)
class HandSpace:
    """An opened space. latent: what its latents are called; its hash travels with every one."""

    latent: LatentSpec
    coders: Mapping[str, Coder]
    training: Mapping[str, Any] = field(default_factory=dict)
    path: Path = Path()

    @property
    def dim(self) -> int:
        return self.latent.shape[1]

    def coder(self, name: str) -> Coder:
        """The networks of a hand. UserError if the space has never seen it."""
        if name not in self.coders:
            raise unknown(f"hand of the space '{self.latent.name}'", name, self.coders)
        return self.coders[name]

    def coder_for(self, spec: HandSpec) -> Coder:
        """The networks of the hand in a file. UserError if the file has changed since."""
        coder = self.coder(spec.hand)
        found, learned = hand_modality(spec), coder.modality
        if found.entries != learned.entries:
            raise UserError(
                f"{spec.path}: joints {', '.join(found.entries)} are not those that the space "
                f"'{self.latent.name}' learned for '{spec.hand}': {', '.join(learned.entries)}"
            )
        ours, theirs = (np.array([m.lower, m.upper]) for m in (found, learned))
        if (wrong := np.abs(ours - theirs).max(axis=0) > _SAME).any():
            at = int(np.argmax(wrong))
            raise UserError(
                f"{spec.path}: limits of '{found.entries[at]}' are {ours[:, at].tolist()}, the "
                f"space '{self.latent.name}' learned {theirs[:, at].tolist()}: fit the hand again"
            )
        return coder


def founded(name: str, dim: int, coders: Mapping[str, Coder]) -> LatentSpec:
    """The name of a new space, whose founders are these."""
    digest = sha256()
    for hand in sorted(coders):
        digest.update(hand.encode())
        for array in (coders[hand].center, coders[hand].scale, *_flat(coders[hand].encoder)):
            digest.update(np.ascontiguousarray(array, np.float32).tobytes())
    return LatentSpec(name, "hand", (1, dim), weights_hash=digest.hexdigest()[:16])


def _flat(layers: Layers) -> Iterator[np.ndarray]:
    for layer in layers:
        yield from layer


def save_space(path: Path, space: HandSpace, origin: Origin, overwrite: bool = False) -> Path:
    """Write the folder, whole or not at all."""
    tensors, stats = {}, {}
    for name, coder in space.coders.items():
        stats[name] = {"center": coder.center, "scale": coder.scale}
        for part, layers in (("encoder", coder.encoder), ("decoder", coder.decoder)):
            for index, (weight, bias) in enumerate(layers):
                tensors[f"{name}.{part}.{index}.weight"] = weight
                tensors[f"{name}.{part}.{index}.bias"] = bias
    modalities = [asdict(coder.modality) for coder in space.coders.values()]
    config = {"modalities": modalities, "training": dict(space.training)}
    content = Checkpoint(SYSTEM, config, Spec(emits=(space.latent,)), origin, tensors, stats)
    return folders.write(path, content, overwrite)


def open_space(path: Path | str = "") -> HandSpace:
    """The space in a folder; "" is the one that comes with this package.

    UserError that says what is missing or does not fit.
    """
    path = path or SHIPPED
    content = folders.open_checkpoint(path)
    if content.system != SYSTEM or len(content.spec.emits) != 1:
        raise UserError(f"{path} is a folder of '{content.system}', not a space of hands")
    (latent,) = content.spec.emits
    found = content.config.get("modalities")
    if not isinstance(found, list) or not found:
        raise UserError(f"{path}/config.json lists no modalities")
    coders = {}
    for index, entry in enumerate(found):
        modality = from_json(Modality, entry, f"{path}/config.json: modalities[{index}]")
        coders[modality.name] = _coder(Path(path), content, modality, latent.shape[1])
    return HandSpace(latent, coders, content.config.get("training", {}), Path(path))


def open_space_of(wanted: LatentSpec, path: Path | str = "") -> HandSpace:
    """As open_space. UserError if its latents are others than the wanted, a policy's."""
    space = open_space(path)
    if space.latent.space_hash != wanted.space_hash:
        raise UserError(
            f"the policy speaks the hand space {wanted.name} ({wanted.space_hash}), and "
            f"{space.path} is {space.latent.name} ({space.latent.space_hash}): name the folder of "
            "the policy's own space, with --space or the parameter 'space'"
        )
    return space


def _coder(path: Path, content: Checkpoint, modality: Modality, dim: int) -> Coder:
    size, stats = len(modality.entries), content.stats.get(modality.name, {})
    center, scale = (np.asarray(stats.get(key, ()), np.float32) for key in ("center", "scale"))
    if center.shape != (size,) or scale.shape != (size,):
        raise UserError(f"{path}/stats.json: '{modality.name}' needs center and scale of {size}")
    encoder = _layers(path, content, f"{modality.name}.encoder", (size, dim))
    decoder = _layers(path, content, f"{modality.name}.decoder", (dim, size))
    return Coder(modality, center, scale, encoder, decoder)


def _layers(path: Path, content: Checkpoint, prefix: str, ends: tuple[int, int]) -> Layers:
    layers, inputs = [], ends[0]
    while f"{prefix}.{len(layers)}.weight" in content.tensors:
        weight = content.tensors[f"{prefix}.{len(layers)}.weight"]
        bias = content.tensors.get(f"{prefix}.{len(layers)}.bias")
        if bias is None or weight.ndim != 2 or weight.shape != (len(bias), inputs):
            raise UserError(f"{path}: tensors of '{prefix}.{len(layers)}' do not fit together")
        layers.append((weight, bias))
        inputs = len(bias)
    if not layers or inputs != ends[1]:
        raise UserError(f"{path}: '{prefix}' gives {inputs} numbers, needs {ends[1]}")
    return tuple(layers)
