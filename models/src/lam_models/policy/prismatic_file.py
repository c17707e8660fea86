"""A folder of OpenVLA's or UniVLA's release: config.json and safetensors, opened name by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lam_models.command import UserError
from lam_models.policy.prismatic import EyeShape, Prismatic

MODEL_TYPES = ("openvla", "prismatic")
EYES = "dinosiglip-vit-so-224px"
HEAD = "language_model.lm_head.weight"
_SHOWN = 5
_VISION = r"^vision_backbone\.(fused_)?featurizer\."


def is_prismatic(source: str) -> bool:
    """Whether a folder says that it holds such a model."""
    path = Path(source) / "config.json"
    return path.is_file() and read_json(path).get("model_type") in MODEL_TYPES


def open_prismatic(source: str, dtype: torch.dtype, device: str = "cpu") -> Prismatic:
    """With the folder's weights. UserError as `match`."""
    model, found = match(Path(source))
    weights = {
        found[name]: value.to(device, dtype)
        for name, value in read_tensors(Path(source), set(found))
    }
    model.load_state_dict(weights, assign=True)
    return model.to(device)


def match(folder: Path) -> tuple[Prismatic, dict[str, str]]:
    """The folder's model without memory for weights, and our name of each of its tensors.

    UserError that names the first tensors that are missing, unknown or of another shape.
    """
    shapes = tensor_shapes(folder)
    model = build(folder, shapes)
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    blocks = {key: len(_blocks(own, key)) for key in ("featurizer", "fused_featurizer")}
    found = {ours: name for name in shapes if (ours := renamed(name, blocks))}
    differences = {
        "missing": [name for name in own if name not in found],
        "unexpected": [name for ours, name in found.items() if ours not in own],
        "of another shape": [
            f"{found[name]} {shapes[found[name]]} instead of {shape}"
            for name, shape in own.items()
            if name in found and shapes[found[name]] != shape
        ],
    }
    wrong = [
        f"{len(names)} {kind} ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})"
        for kind, names in differences.items()
        if names
    ]
    if wrong:
        raise UserError(f"{folder} is not of the layout of OpenVLA: {'; '.join(wrong)}")
    return model, {name: ours for ours, name in found.items()}


def build(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> Prismatic:
    """The model that config.json and the tensors' shapes describe, without memory for weights."""
    from transformers import LlamaConfig

    said = read_json(folder / "config.json")
    eyes, text = said.get("vision_backbone_id"), said.get("text_config") or {}
    kind = text.get("model_type", "llama")
    if eyes != EYES or kind != "llama":
        raise UserError(
            f"{folder}: eyes '{eyes}' with '{kind}'; only '{EYES}' with 'llama' is known"
        )
    text = {k: v for k, v in text.items() if k not in ("model_type", "dtype", "torch_dtype")}
    language = LlamaConfig(**text)
    both = (_eye(shapes, "featurizer", folder), _eye(shapes, "fused_featurizer", folder))
    with torch.device("meta"):
        model = Prismatic(both, language)
    model.compute()
    return model


def renamed(name: str, blocks: Mapping[str, int]) -> str:
    """Our name of a release's tensor, "" where nothing depends on it. blocks: run in each eye."""
    if name == HEAD or name.endswith("rotary_emb.inv_freq"):
        return ""
    if found := re.match(_VISION, name):
        part = f"{found[1] or ''}featurizer"
        rest = name[found.end() :]
        if re.match(r"(norm|fc_norm|attn_pool|head)\.", rest):
            return ""
        block = re.match(r"blocks\.(\d+)\.", rest)
        return "" if block and int(block[1]) == blocks[part] else name
    return re.sub(r"^language_model\.model\.", "language_model.", name)


def tensor_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Of all tensors of the folder's safetensors files, which are not read for it."""
    shapes: dict[str, tuple[int, ...]] = {}
    for path in _files(folder):
        with _opened(path) as file:
            names = file.keys()
            shapes |= {name: tuple(file.get_slice(name).get_shape()) for name in names}
    return shapes


def read_tensors(folder: Path, names: set[str]) -> Iterator[tuple[str, Tensor]]:
    """Those of these names that are there."""
    for path in _files(folder):
        with _opened(path) as file:
            for name in names.intersection(file.keys()):
                yield name, file.get_tensor(name)


def _eye(shapes: Mapping[str, tuple[int, ...]], part: str, folder: Path) -> EyeShape:
    """All but the number of heads, which leaves no trace and is 16 in both, is in the shapes."""
    prefix = f"vision_backbone.{part}."
    of = {k.removeprefix(prefix): v for k, v in shapes.items() if k.startswith(prefix)}
    try:
        width, _, patch, _ = of["patch_embed.proj.weight"]
        side = round(of["pos_embed"][1] ** 0.5)
        return EyeShape(
            width=width,
            hidden=of["blocks.0.mlp.fc1.weight"][0],
            blocks=len(_blocks(shapes, part)) - 1,
            patch=patch,
            image_size=side * patch,
            registers=of["reg_token"][1] if "reg_token" in of else 0,
            class_token="cls_token" in of,
            scaled="blocks.0.ls1.scale_factor" in of,
        )
    except KeyError as error:
        raise UserError(
            f"{folder} is not of the layout of OpenVLA: no {prefix}{error.args[0]}"
        ) from None


def _blocks(names: Mapping[str, Any], part: str) -> set[str]:
    pattern = re.compile(rf"^vision_backbone\.{part}\.blocks\.(\d+)\.")
    return {found[1] for name in names if (found := pattern.match(name))}


def _files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(read_json(index).get("weight_map", {}).values()))
    else:
        names = ["model.safetensors"]
    paths = [folder / name for name in names]
    for path in paths:
        if not path.is_file():
            raise UserError(f"{folder} lacks the weight file {path.name}")
    return paths


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold an object, not {type(content).__name__}")
    return content
