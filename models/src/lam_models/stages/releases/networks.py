"""The frozen networks inside a UniVLA checkpoint, under the names of the transformers library.

DINOv2 is there as facebookresearch/dinov2 names it, T5 as transformers does, embedding twice. Which
of the known networks one is, its shapes tell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from math import isqrt
from typing import TypeVar

from torch import Tensor

from lam_models.command import UserError
from lam_models.nn import text, vision
from lam_models.stages.releases.files import Tensors

Shape = TypeVar("Shape", vision.VitShape, text.T5Shape)

DINOV2, T5 = "dino_encoder.", "text_encoder."

_DINOV2_RENAMED = (
    (r"^((cls|mask)_token|register_tokens)$", r"embeddings.\1"),
    (r"^pos_embed$", "embeddings.position_embeddings"),
    (r"^patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^blocks\.", "encoder.layer."),
    (r"\.attn\.proj\.", ".attention.o_proj."),
    (r"\.attn\.qkv\.", ".attention.qkv_proj."),
    (r"\.ls([12])\.gamma$", r".layer_scale\1.lambda1"),
    (r"^norm\.", "layernorm."),
)


def dinov2_renamed(name: str, value: Tensor) -> dict[str, Tensor]:
    """One tensor of facebookresearch's class for `FrozenDinov2`; a joint q, k and v is parted."""
    for pattern, replacement in _DINOV2_RENAMED:
        name = re.sub(pattern, replacement, name)
    if ".qkv_proj." not in name:
        return {f"vision.model.{name}": value}
    parts = zip("qkv", value.chunk(3), strict=True)
    return {f"vision.model.{name.replace('.qkv_', f'.{part}_')}": of for part, of in parts}


def t5_renamed(name: str, value: Tensor) -> dict[str, Tensor]:
    """One tensor of transformers' T5EncoderModel for `FrozenT5`, none for the second embedding."""
    if name == "shared.weight":
        return {}
    return {f"text_encoder.model.{name.removeprefix('encoder.')}": value}


def dinov2_name(tensors: Tensors) -> str:
    """The network of `nn.vision` that has these shapes. UserError for none."""
    of = {key.removeprefix(DINOV2): v for key, v in tensors.items() if key.startswith(DINOV2)}
    places = of["pos_embed"].shape[1] - 1
    width, _, patch, _ = of["patch_embed.proj.weight"].shape
    found = vision.VitShape(
        width=width,
        depth=count(of, r"blocks\.(\d+)\."),
        patch=patch,
        image_size=patch * isqrt(places),
        registers=of["register_tokens"].shape[1] if "register_tokens" in of else 0,
        gated="blocks.0.mlp.w12.weight" in of,
    )
    # The number of heads leaves no trace in the shapes.
    known = {name: replace(shape, heads=found.heads) for name, shape in vision.SHAPES.items()}
    return _named("DINOv2", found, known)


def t5_name(tensors: Tensors) -> str:
    """The network of `nn.text` that has these shapes. UserError for none."""
    of = {key.removeprefix(T5): value for key, value in tensors.items() if key.startswith(T5)}
    block = "encoder.block.0.layer"
    found = text.T5Shape(
        width=of["encoder.embed_tokens.weight"].shape[1],
        depth=count(of, r"encoder\.block\.(\d+)\."),
        heads=of[f"{block}.0.SelfAttention.relative_attention_bias.weight"].shape[1],
        hidden=of[f"{block}.1.DenseReluDense.wi.weight"].shape[0],
    )
    return _named("T5", found, text.SHAPES)


def count(tensors: Tensors, pattern: str) -> int:
    """How many different numbers stand in the group of `pattern`, where a name begins with it."""
    return len({found[1] for name in tensors if (found := re.match(pattern, name))})


def _named(kind: str, found: Shape, known: Mapping[str, Shape]) -> str:
    for name, shape in known.items():
        if shape == found:
            return name
    raise UserError(f"the file's {kind} is none of {', '.join(known)}: {found}")
