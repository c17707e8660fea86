"""Folders of small vision-language models with random weights, as their classes save them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers as hf
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

SENTENCE = "what action should the robot take to push lift red cube into drawer open left right"
SIDE = 32
IMAGE: dict[str, Any] = {"image_token_id": 39}
VOCABULARY = 40
LLAMA = {
    "model_type": "llama",
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
EYE = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIDE,
    "patch_size": 8,
}
QWEN = LLAMA | {
    "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
}
QWEN_EYE = {"depth": 2, "patch_size": 4, "spatial_merge_size": 2, "num_heads": 2}


def llava() -> Any:
    eye = EYE | {"model_type": "clip_vision_model"}
    config = hf.LlavaConfig(vision_config=eye, text_config=LLAMA, **IMAGE)
    return hf.LlavaForConditionalGeneration(config)


def paligemma() -> Any:
    text = LLAMA | {"model_type": "gemma", "head_dim": 16, "num_key_value_heads": 1}
    eye = EYE | {
        "model_type": "siglip_vision_model",
        "projection_dim": 32,
        "vision_use_head": False,
    }
    config = hf.PaliGemmaConfig(
        vision_config=eye, text_config=text, projection_dim=32, hidden_size=32, **IMAGE
    )
    return hf.PaliGemmaForConditionalGeneration(config)


def smolvlm() -> Any:
    config = hf.SmolVLMConfig(
        vision_config=EYE, text_config=LLAMA, image_token_id=39, scale_factor=2
    )
    return hf.SmolVLMForConditionalGeneration(config)


def idefics3() -> Any:
    config = hf.Idefics3Config(
        vision_config=EYE, text_config=LLAMA, image_token_id=39, scale_factor=2
    )
    return hf.Idefics3ForConditionalGeneration(config)


def qwen2_vl() -> Any:
    eye = QWEN_EYE | {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2}
    text = QWEN | {"model_type": "qwen2_vl_text"}
    config = hf.Qwen2VLConfig(vision_config=eye, text_config=text, **_tokens())
    return hf.Qwen2VLForConditionalGeneration(config)


def qwen2_5_vl() -> Any:
    eye = QWEN_EYE | {"hidden_size": 32, "out_hidden_size": 32, "intermediate_size": 48}
    eye |= {"window_size": 16, "fullatt_block_indexes": [1]}
    text = QWEN | {"model_type": "qwen2_5_vl_text"}
    config = hf.Qwen2_5_VLConfig(vision_config=eye, text_config=text, **_tokens())
    return hf.Qwen2_5_VLForConditionalGeneration(config)


def _tokens() -> dict[str, Any]:
    return {"image_token_id": 39, "video_token_id": 38, "vision_start_token_id": 37}


KINDS = {f.__name__: f for f in (llava, paligemma, smolvlm, idefics3, qwen2_vl, qwen2_5_vl)}


def folder(kind: str, path: Path) -> Path:
    """A folder of `kind`, written by the class itself, with a tokenizer of few words."""
    torch.manual_seed(0)
    KINDS[kind]().save_pretrained(path)
    words = Tokenizer(
        models.WordLevel({"?": 0, **{w: 1 + i for i, w in enumerate(SENTENCE.split())}}, "?")
    )
    words.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+|\?"), "removed", invert=True)
    hf.PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(path)
    return path
