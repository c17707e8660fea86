"""How each family of vision-language models of transformers sees: images to tokens of its language.

The classes' own `forward` finds out the number, size and padding of images from the data, which
waits for the device and changes shapes. Here images are square, all of one size and all there, so
that the same parts are called without asking. Their weights and what they compute are the same
(but for DeepStack features of later Qwen models, which are of no known family here).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lam_models.command import UserError, unknown
from lam_models.policy import vlm_qwen

Images = Float[Tensor, "images 3 side side"]
Seen = Float[Tensor, "images tokens width"]


@dataclass(frozen=True)
class Family:
    """see: tokens of images. language: name of the language model among the model's parts.

    bidirectional: the prompt reads itself in both directions, so that the image comes first and no
        part of it can be read ahead.
    first_position: of the prompt. grid: the language model has positions of time, row and column.
    mean, deviation: of the pixels, where the source has no preprocessor_config.json.
    """

    see: Callable[[Any, Images], Seen]
    language: str = "language_model"
    bidirectional: bool = False
    first_position: int = 0
    grid: bool = False
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    deviation: tuple[float, ...] = (0.5, 0.5, 0.5)


def family_of(config: Any) -> Family:
    """Of a model's configuration. UserError for one of no known family."""
    kind = config.model_type
    if kind not in FAMILIES:
        raise unknown("family of vision-language models", kind, FAMILIES)
    return FAMILIES[kind]


def _see_llava(model: Any, images: Images) -> Seen:
    c = model.config
    seen = model.get_image_features(
        pixel_values=images,
        vision_feature_layer=c.vision_feature_layer,
        vision_feature_select_strategy=c.vision_feature_select_strategy,
        output_hidden_states=True,
    )
    return torch.stack(list(seen.pooler_output))


def _see_paligemma(model: Any, images: Images) -> Seen:
    return model.multi_modal_projector(model.vision_tower(images).last_hidden_state)


def _see_idefics3(model: Any, images: Images) -> Seen:
    eye = model.vision_model
    places = eye.embeddings.position_embedding.weight
    x = eye.embeddings.patch_embedding(images).flatten(2).transpose(1, 2)
    if x.shape[1] != len(places):
        side = eye.embeddings.image_size
        raise UserError(f"this model sees images of {side} pixels, not of {images.shape[-1]}")
    x = eye.encoder(inputs_embeds=x + places).last_hidden_state
    return model.connector(eye.post_layernorm(x))


def _see_prismatic(model: Any, images: Images) -> Seen:
    return model.see(images)


def _see_qwen(model: Any, images: Images) -> Seen:
    return vlm_qwen.see(model.visual, images)


_clip = partial(
    Family,
    mean=(0.48145466, 0.4578275, 0.40821073),
    deviation=(0.26862954, 0.26130258, 0.27577711),
)
FAMILIES: dict[str, Family] = {
    "llava": _clip(_see_llava),
    "paligemma": Family(_see_paligemma, bidirectional=True, first_position=1),
    # OpenVLA and UniVLA (prismatic.py).
    "prismatic": Family(_see_prismatic),
    "idefics3": Family(_see_idefics3, language="text_model"),
    "smolvlm": Family(_see_idefics3, language="text_model"),
    "qwen2_vl": _clip(_see_qwen, grid=True),
    "qwen2_5_vl": _clip(_see_qwen, grid=True),
}
