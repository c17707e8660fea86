"""The folder a trained model is handed over in, opened strictly and written atomically.

    config.json         the system's name and its configuration
    model.safetensors   the weights
    spec.json           what the model sees and emits
    stats.json          normalisation statistics, by feature and name
    origin.json         data, recipe, commit, versions, metrics, and the weights' hash
    README.md           a model card made from the above

Whoever opens a folder needs nothing else. No pickle is ever read.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lam_models.command import UserError, unknown
from lam_models.strict_json import from_json, to_json
from lam_models.types import LatentSpec

FILES = ("config.json", "model.safetensors", "spec.json", "stats.json", "origin.json", "README.md")
_VERSIONED = ("lam_models", "numpy", "torch", "transformers", "safetensors")

Tensors = Mapping[str, Shaped[np.ndarray, "..."]]


@dataclass(frozen=True)
class CameraSpec:
    """An image the model sees; `fit` names a way of sense.pixels.fit."""

    name: str
    height: int
    width: int
    fit: str = "crop"


@dataclass(frozen=True)
class Spec:
    """What a model sees and emits.

    state: names of the entries of each proprioception vector, by its name.
    rate_hz: observations (or video frames) a second it was trained at.
    emits: the latent spaces of its outputs (of a decoder: of its inputs).
    delta_axes: axes of end-effector deltas as geometry.apply_delta takes them, "" for none.
    """

    cameras: tuple[CameraSpec, ...] = ()
    state: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rate_hz: float = 0.0
    emits: tuple[LatentSpec, ...] = ()
    chunk_steps: int = 0
    delta_axes: str = ""


@dataclass(frozen=True)
class Origin:
    """Where a model comes from. weights_hash is filled in when the folder is written."""

    data_hash: str
    recipe: str
    metrics: dict[str, float] = field(default_factory=dict)
    git_commit: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    weights_hash: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """The content of a folder."""

    system: str
    config: dict[str, Any]
    spec: Spec
    origin: Origin
    tensors: Tensors
    stats: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)

    def check_shapes(self, expected: Mapping[str, tuple[int, ...]]) -> None:
        """Raise UserError unless the weights are exactly the expected ones, by name and shape."""
        for name, shape in expected.items():
            if name not in self.tensors:
                raise UserError(f"model.safetensors lacks the tensor '{name}' of '{self.system}'")
            found = self.tensors[name].shape
            if found != tuple(shape):
                raise UserError(f"tensor '{name}' has shape {found}, '{self.system}' needs {shape}")
        for name in self.tensors:
            if name not in expected:
                raise unknown(f"tensor of '{self.system}'", name, expected)


def origin_now(data_hash: str, recipe: str, metrics: Mapping[str, float] | None = None) -> Origin:
    """The origin of a model trained by the code and libraries at hand."""
    versions = {}
    for name in _VERSIONED:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Origin(data_hash, recipe, dict(metrics or {}), _git_commit(), versions)


def write(path: Path | str, checkpoint: Checkpoint, overwrite: bool = False) -> Path:
    """Write the folder beside its place and rename it there, so that it is whole or absent."""
    target = Path(path)
    if target.exists() and not overwrite:
        raise UserError(f"{target} exists already; choose another folder or remove it")
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    contiguous = {name: np.asarray(v, order="C") for name, v in checkpoint.tensors.items()}
    save_file(contiguous, partial / "model.safetensors")
    weights_hash = file_hash(partial / "model.safetensors")
    origin = dataclasses.replace(checkpoint.origin, weights_hash=weights_hash)
    whole = dataclasses.replace(checkpoint, origin=origin)
    stats = {
        feature: {name: np.asarray(value).tolist() for name, value in of.items()}
        for feature, of in whole.stats.items()
    }
    contents = {
        "config.json": {"system": whole.system, "config": whole.config},
        "spec.json": to_json(whole.spec),
        "stats.json": stats,
        "origin.json": to_json(origin),
    }
    for name, content in contents.items():
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (partial / name).write_text(text, encoding="utf-8")
    (partial / "README.md").write_text(_model_card(whole), encoding="utf-8")
    _replace(target, partial)
    return target


def open_checkpoint(path: Path | str) -> Checkpoint:
    """The content of a folder. Raises UserError that names what is missing, unknown or damaged."""
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"no model folder at {folder}")
    for name in FILES:
        if not (folder / name).is_file():
            raise UserError(f"model folder {folder} lacks the file {name}")
    config = _read_json(folder / "config.json")
    if set(config) != {"system", "config"}:
        raise UserError(f"{folder}/config.json has keys {sorted(config)}, not config and system")
    origin = from_json(Origin, _read_json(folder / "origin.json"), str(folder / "origin.json"))
    weights = folder / "model.safetensors"
    if file_hash(weights) != origin.weights_hash:
        raise UserError(
            f"{weights} is not the file origin.json was written with (its hash differs)"
        )
    return Checkpoint(
        system=config["system"],
        config=config["config"],
        spec=from_json(Spec, _read_json(folder / "spec.json"), str(folder / "spec.json")),
        origin=origin,
        tensors=_load_tensors(weights),
        stats={
            feature: {name: np.asarray(value) for name, value in of.items()}
            for feature, of in _read_json(folder / "stats.json").items()
        },
    )


def _load_tensors(path: Path) -> dict[str, np.ndarray]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold an object, not {type(content).__name__}")
    return content


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _replace(target: Path, partial: Path) -> None:
    """Put `partial` in the place of `target`; a folder cannot be replaced in one step."""
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    partial.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _git_commit() -> str:
    """Commit of the checkout this file lies in, "" where it lies in none."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _model_card(checkpoint: Checkpoint) -> str:
    spec, origin = checkpoint.spec, checkpoint.origin
    cameras = [f"{c.name} {c.height}x{c.width} ({c.fit})" for c in spec.cameras]
    latents = [
        f"{latent.name} ({latent.kind}, {latent.shape[0]} x {latent.shape[1]}, "
        f"{latent.codebook_size or 'no'} codes, hash {latent.space_hash})"
        for latent in spec.emits
    ]
    size = sum(value.size for value in checkpoint.tensors.values())
    rows = {
        "system": checkpoint.system,
        "parameters": f"{size:,}",
        "cameras": ", ".join(cameras) or "none",
        "state": ", ".join(spec.state) or "none",
        "rate": f"{spec.rate_hz:g} Hz",
        "latent spaces": "; ".join(latents) or "none",
        "delta axes": spec.delta_axes or "none",
        "recipe": origin.recipe,
        "data": origin.data_hash,
        "commit": origin.git_commit or "unknown",
        **{f"metric {name}": f"{value:.4g}" for name, value in origin.metrics.items()},
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    config = json.dumps(checkpoint.config, indent=2, ensure_ascii=False)
    return (
        f"# {checkpoint.system}\n\nWritten by lam_models; the JSON files beside it are "
        f"authoritative.\n\n| | |\n|---|---|\n{table}\n\n```json\n{config}\n```\n"
    )
