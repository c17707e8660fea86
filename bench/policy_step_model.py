"""The model of policy_step.py: a Prismatic one of random weights, its inputs and one step of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from transformers import LlamaConfig

from lam_models.policy.inputs import Inputs
from lam_models.policy.prismatic import DINOV2_LARGE, SIGLIP_SO400M, EyeShape, Prismatic
from lam_models.policy.slot_config import Config
from lam_models.policy.slot_policy import SlotPolicy
from lam_models.policy.vlm_choice import Vlm

LARGE = (DINOV2_LARGE, SIGLIP_SO400M), LlamaConfig(vocab_size=32064)
SMALL = (
    (
        EyeShape(64, 256, 3, 4, image_size=112, registers=4, class_token=True, scaled=True),
        EyeShape(64, 256, 3, 4, image_size=112),
    ),
    LlamaConfig(
        vocab_size=1000,
        hidden_size=128,
        intermediate_size=344,
        num_hidden_layers=4,
        num_attention_heads=4,
    ),
)


def made(
    eyes: tuple[EyeShape, EyeShape],
    language: LlamaConfig,
    in_turn: bool,
    device: torch.device,
    precision: torch.dtype,
) -> SlotPolicy:
    """Random weights; on the device "meta" none, for counting."""
    torch.manual_seed(0)
    with torch.device("meta"):
        model = Prismatic(eyes, language).to(precision)
    if device.type != "meta":
        model = model.to_empty(device=device)
        for name, weights in model.named_parameters():
            torch.nn.init.ones_(weights) if "norm" in name else torch.nn.init.normal_(
                weights, 0, 0.02
            )
        model.compute()
        model = model.to(device)
    # The folder holds no model: what it would say of pixels is then the family's.
    # With 34 words the sequence is a multiple of 8, as kernels of attention want their masks.
    folder = str(Path(__file__).parent)
    vlm = Vlm(folder, prompt_tokens=34, lora_rank=0, codes_in_turn=in_turn)
    config = replace(
        Config(),
        cameras=("front",),
        image_size=eyes[0].image_size,
        motion_tokens=4,
        motion_codes=16,
        vlm=vlm,
    )
    with device:
        return SlotPolicy(config, model).to(device).eval().requires_grad_(False)


def example(policy: SlotPolicy, device: torch.device) -> Inputs:
    """Of an instant, drawn."""
    side, words = policy.config.image_size, policy.backbone.layout.text
    with device:
        return Inputs(
            pixels=torch.randint(0, 256, (1, 1, side, side, 3), dtype=torch.uint8),
            state=torch.randn(1, 9),
            words=torch.randint(1, 1000, (1, words, 1)),
            delay=torch.zeros(1),
        )


def step_of(policy: SlotPolicy, device: torch.device) -> Callable[[], object]:
    """As it is, behind an instruction that was read."""
    inputs = example(policy, device)
    with torch.no_grad():
        room = policy.backbone.room(policy.backbone.read_ahead(inputs.words))
    return lambda: policy.answer(inputs, room)
