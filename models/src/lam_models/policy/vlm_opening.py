"""A vision-language model from a local folder or the hub, and what of it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from lam_models.command import UserError
from lam_models.policy.prismatic_file import is_prismatic, open_prismatic
from lam_models.policy.vlm_choice import Vlm
from lam_models.policy.vlm_families import Family, family_of

# Of the attention and of the feed-forward part of every language model here.
_PRODUCTS = r"(q|k|v|o|gate|up|down)_proj"


def open_model(source: str, precision: str) -> Any:
    """The model without its head of words. UserError where there is none, or of no known family."""
    from transformers import AutoConfig, AutoModel

    dtype = getattr(torch, precision)
    if is_prismatic(source):
        return open_prismatic(source, dtype)
    try:
        family_of(AutoConfig.from_pretrained(source))
        # Which kernels are chosen must not depend on what is installed beside.
        return AutoModel.from_pretrained(source, dtype=dtype, attn_implementation="sdpa")
    except (OSError, ValueError) as error:
        raise UserError(f"no vision-language model at '{source}': {error}") from error


def adapted(model: Any, rank: int, alpha: int) -> Any:
    """With LoRA in the language model's products and all else frozen; at rank 0 as it is."""
    if rank == 0:
        return model
    from peft import LoraConfig, inject_adapter_in_model

    part = family_of(model.config).language
    settings = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=rf"(.*\.)?{part}\..*\.{_PRODUCTS}"
    )
    return inject_adapter_in_model(settings, model)


@cache
def open_tokenizer(source: str) -> Any:
    """UserError where the source has none."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    # A release's own classes are not needed to read its tokenizer.json.
    kind = PreTrainedTokenizerFast if is_prismatic(source) else AutoTokenizer
    try:
        return kind.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise UserError(f"no tokenizer at '{source}': {error}") from error


def read_prompts(vlm: Vlm, instructions: Sequence[str]) -> Int64[np.ndarray, "batch words 1"]:
    """Numbers of the tokenizer, counted from 1, with 0 for padding on the left."""
    tokenizer, count = open_tokenizer(vlm.source), vlm.prompt_tokens
    out = np.zeros((len(instructions), count, 1), np.int64)
    for row, text in enumerate(instructions):
        ids = tokenizer(vlm.prompt.format(instruction=text))["input_ids"][:count]
        out[row, count - len(ids) :, 0] = np.asarray(ids) + 1
    return out


def pixel_statistics(source: str, family: Family) -> tuple[Float[Tensor, "3"], Float[Tensor, "3"]]:
    """Mean and deviation of pixels in 0..1, as the source says, or else the family's."""
    from transformers.image_processing_utils import BaseImageProcessor

    try:
        said, _ = BaseImageProcessor.get_image_processor_dict(source)
    except OSError:
        said = {}
    mean, deviation = said.get("image_mean", family.mean), said.get("image_std", family.deviation)
    return torch.tensor(mean), torch.tensor(deviation)
