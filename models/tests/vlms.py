"""Folders of small vision-language models with random weights, as their classes save them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

from lam_models.policy.prismatic import EyeShape, Prismatic

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
PRISMATIC_EYES = (
    EyeShape(32, 48, 2, patch=8, image_size=SIDE, registers=2, class_token=True, scaled=True),
    EyeShape(16, 24, 2, patch=8, image_size=SIDE),
)
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


def prismatic() -> Any:
    language = hf.LlamaConfig(**{k: v for k, v in LLAMA.items() if k != "model_type"})
    return Release(Prismatic(PRISMATIC_EYES, language))


class Release:
    """A model of ours as the folder of a release: its names, and what no output depends on."""

    def __init__(self, model: Prismatic) -> None:
        self.model = model

    def save_pretrained(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        tensors = {
            re.sub(r"^language_model\.", "language_model.model.", name): value.contiguous()
            for name, value in self.model.state_dict().items()
        }
        for part in ("featurizer", "fused_featurizer"):
            first = {k: v for k, v in tensors.items() if f".{part}.blocks.1." in k}
            tensors |= {k.replace("blocks.1", "blocks.2"): v + 1 for k, v in first.items()}
            tensors[f"vision_backbone.{part}.norm.weight"] = torch.ones(3)
        tensors["vision_backbone.fused_featurizer.attn_pool.latent"] = torch.ones(1, 1, 3)
        inner = self.model.language_model.config.hidden_size
        tensors["language_model.lm_head.weight"] = torch.randn(VOCABULARY, inner)
        names = sorted(tensors)
        files = {"model-00001-of-00002.safetensors": names[::2], "model-2.safetensors": names[1::2]}
        for name, held in files.items():
            save_file({k: tensors[k] for k in held}, path / name)
        index = {"weight_map": {k: file for file, held in files.items() for k in held}}
        (path / "model.safetensors.index.json").write_text(json.dumps(index))
        content = {
            "model_type": "openvla",
            "vision_backbone_id": "dinosiglip-vit-so-224px",
            "text_config": LLAMA,
        }
        (path / "config.json").write_text(json.dumps(content))


def _tokens() -> dict[str, Any]:
    return {"image_token_id": 39, "video_token_id": 38, "vision_start_token_id": 37}


RELEASES = (prismatic,)
KINDS = {f.__name__: f for f in (llava, paligemma, smolvlm, idefics3, qwen2_vl, qwen2_5_vl)}


ALL = KINDS | {f.__name__: f for f in RELEASES}


def folder(kind: str, path: Path) -> Path:
    """A folder of `kind`, written by the class itself, with a tokenizer of few words."""
    torch.manual_seed(0)
    ALL[kind]().save_pretrained(path)
    words = Tokenizer(
        models.WordLevel({"?": 0, **{w: 1 + i for i, w in enumerate(SENTENCE.split())}}, "?")
    )
    words.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+|\?"), "removed", invert=True)
    hf.PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(path)
    return path
