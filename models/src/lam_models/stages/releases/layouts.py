"""The layouts of released weights: how each names its tensors, and which system they are for.

Sizes are read from the shapes (of villa-X from its model_config.json). What leaves no trace in them
is what the release was trained with, unless it is asked for otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isqrt
from pathlib import Path
from typing import Any

from torch import Tensor

from lam_models.command import UserError, unknown
from lam_models.stages.releases.files import Tensors
from lam_models.stages.releases.networks import (
    DINOV2,
    T5,
    count,
    dinov2_name,
    dinov2_renamed,
    t5_name,
    t5_renamed,
)
from lam_models.systems import igor, lapa, univla

VILLA_X_CONFIG = "model_config.json"


@dataclass(frozen=True)
class Asked:
    """What a file does not tell of its model; None for what the release was trained with."""

    image_size: int | None = None
    gap_s: float | None = None
    heads: int | None = None


@dataclass(frozen=True)
class Layout:
    """One release's way to name its tensors.

    system: the name in the registry of the system that they are for.
    mark: a tensor that this layout alone has.
    config: the system's Config. Raises KeyError for a tensor that it reads and does not find.
    renamed: the system's tensors made from one of the file; none if nothing depends on it.
    loses: what is lost with a tensor that `renamed` makes nothing of, "" if nothing.
    """

    system: str
    mark: str
    config: Callable[[Tensors, Path], Any]
    renamed: Callable[[str, Tensor], dict[str, Tensor]]
    loses: Callable[[str, Tensors], str]


def find_layout(name: str, tensors: Tensors) -> tuple[str, Layout]:
    """The layout `name`; for "auto" the one whose mark is among the tensors."""
    if name != "auto":
        if name not in LAYOUTS:
            raise unknown("layout", name, ["auto", *LAYOUTS])
        return name, LAYOUTS[name]
    for known, layout in LAYOUTS.items():
        if layout.mark in tensors:
            return known, layout
    marks = ", ".join(f"'{layout.mark}' ({known})" for known, layout in LAYOUTS.items())
    raise UserError(f"the file is of no known layout: it has none of {marks}")


def configure(layout: Layout, tensors: Tensors, source: Path, asked: Asked) -> Any:
    """The Config of the file's model, with what was asked for in place of the release's."""
    wanted = {name: value for name, value in vars(asked).items() if value is not None}
    try:
        config = layout.config(tensors, source)
        for name in wanted:
            if not hasattr(config, name):
                raise UserError(f"'{layout.system}' reads its {name} from the file: leave it out")
        return replace(config, **wanted)
    except KeyError as error:
        raise UserError(
            f"{source} is not of the layout of '{layout.system}': {error} is missing"
        ) from error
    except ValueError as error:
        raise UserError(f"{source}: {error}") from error


def _lapa_config(tensors: Tensors, source: Path) -> lapa.Config:
    width, inputs = tensors["to_patch_emb_first_frame.2.weight"].shape
    codebook_size, code_dim = tensors["vq.codebooks"].shape
    patch = isqrt(inputs // 3)
    return lapa.Config(
        image_size=8 * patch,
        patch=patch,
        width=width,
        spatial_depth=count(tensors, r"enc_spatial_transformer\.layers\.(\d+)\."),
        temporal_depth=count(tensors, r"enc_temporal_transformer\.layers\.(\d+)\."),
        heads=len(tensors["spatial_rel_pos_bias.net.2.bias"]),
        head_dim=len(tensors["enc_spatial_transformer.layers.0.1.q_scale"]),
        code_dim=code_dim,
        codebook_size=codebook_size,
    )


def _lapa_loses(name: str, tensors: Tensors) -> str:
    if name.endswith(".beta") and tensors[name].any():
        return "a norm's offset that is not zero"
    return "null keys" if name.endswith(".null_kv") and tensors[name].numel() else ""


def _univla_config(tensors: Tensors, source: Path) -> univla.Config:
    width = tensors["encoder.ffn.1.weight"].shape[0]
    codebook_size, code_dim = tensors["vq.codebook.weight"].shape
    reads_text = any(name.startswith(T5) for name in tensors)
    return univla.Config(
        vision=dinov2_name(tensors),
        patch=tensors[DINOV2 + "patch_embed.proj.weight"].shape[-1],
        text=t5_name(tensors) if reads_text else univla.Config.text,
        width=width,
        encoder_depth=count(tensors, r"encoder\.transformer_blocks\.(\d+)\."),
        decoder_depth=count(tensors, r"decoder\.transformer_blocks\.(\d+)\."),
        # Each as wide as those of the release.
        heads=max(width // 64, 1),
        tokens=tensors["action_latent"].shape[2],
        code_dim=code_dim,
        codebook_size=codebook_size,
    )


def _univla_renamed(name: str, value: Tensor) -> dict[str, Tensor]:
    if name.startswith(DINOV2):
        return dinov2_renamed(name.removeprefix(DINOV2), value)
    if name.startswith(T5):
        return t5_renamed(name.removeprefix(T5), value)
    return univla.from_released({name: value})


def _univla_loses(name: str, tensors: Tensors) -> str:
    first = tensors.get(T5 + "encoder.embed_tokens.weight")
    return "" if first is not None and first.equal(tensors[name]) else "another embedding"


def _villa_x_config(tensors: Tensors, source: Path) -> igor.Config:
    path = source.with_name(VILLA_X_CONFIG)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))["config"]
        return igor.Config(
            image_size=content["resolution"],
            patch=content["patch_size"],
            frames=content["d_t"],
            width=content["encoder_embed_dim"],
            encoder_depth=content["encoder_depth"],
            encoder_heads=content["encoder_n_heads"],
            decoder_depth=content["decoder_depth"],
            decoder_heads=content["decoder_n_heads"],
            pool_heads=content["map_heads"],
            tokens=content["num_learned_tokens"],
            code_dim=content["action_latent_dim"],
            codebook_size=content["n_codes"],
        )
    except OSError as error:
        raise UserError(f"{path}, which tells the model's sizes, cannot be read") from error
    except (json.JSONDecodeError, TypeError) as error:
        raise UserError(f"{path} is not the description of a model: {error}") from error
    except KeyError as error:
        raise UserError(f"{path} lacks the key {error}") from error


def _one(renamed: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Any:
    return lambda name, value: renamed({name: value})


def _nothing(name: str, tensors: Tensors) -> str:
    return ""


LAYOUTS = {
    "lapa": Layout(
        "lapa_reference", "vq.codebooks", _lapa_config, _one(lapa.from_released), _lapa_loses
    ),
    # Before the first stage, whose mark is no part of it.
    "univla_stage2": Layout(
        "univla", "vq_action.codebook.weight", _univla_config, _univla_renamed, _univla_loses
    ),
    "univla_stage1": Layout(
        "univla_stage1", "lang_proj.weight", _univla_config, _univla_renamed, _univla_loses
    ),
    "villa_x": Layout(
        "igor", "vq.embedding.weight", _villa_x_config, _one(igor.from_released), _nothing
    ),
}
