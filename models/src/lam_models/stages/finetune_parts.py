"""Which weights of a policy are finetuned, and LoRA that is merged again.

words   what words mean, and where that is in the picture; how the hand gets there stays as it is
heads   all but the backbone, and the small backbone's table of words, so that new words are learnt
lora    these, what surrounds a vision-language model, and LoRA in its language model
all     everything that training from the start would train
"""

from __future__ import annotations

from typing import Any

from torch import nn

from lam_models.command import UserError
from lam_models.policy.slot_policy import SlotPolicy

_BACKBONE, _MODEL = "backbone.", "backbone.model."
_WORDS = "backbone.words.table."
_MEANING = ("places.", "backbone.words.")
_RANK = 16


def default_part(policy: SlotPolicy) -> str:
    """LoRA for a vision-language model, all of a small backbone."""
    return "all" if policy.config.vlm is None else "lora"


def choose_weights(policy: SlotPolicy, part: str) -> int:
    """Leave only what is to be trained with a gradient; its number of weights.

    UserError for LoRA where there is no language model.
    """
    vlm = policy.config.vlm
    if part == "lora" and vlm is None:
        raise UserError("this policy has no vision-language model for LoRA; train heads or all")
    if part == "lora" and vlm is not None and vlm.lora_rank == 0:
        _add_lora(policy)
    if part == "words" and policy.config.pinhole is None:
        raise UserError("this policy finds no places in a calibrated picture; train heads or all")
    if part == "words":
        for name, parameter in policy.named_parameters():
            kept = parameter.requires_grad and name.startswith(_MEANING)
            parameter.requires_grad_(kept)
    if part == "heads":
        for name, parameter in policy.named_parameters():
            head = not name.startswith(_BACKBONE) or name.startswith(_WORDS)
            parameter.requires_grad_(parameter.requires_grad and head)
    return sum(p.numel() for p in policy.parameters() if p.requires_grad)


def _add_lora(policy: SlotPolicy) -> None:
    """To a model that was trained whole: its own weights stand still, what is added is merged."""
    from lam_models.policy.vlm_opening import adapted

    backbone: Any = policy.backbone
    backbone.model = adapted(backbone.model, _RANK, _RANK)


def merge_lora(policy: SlotPolicy) -> None:
    """Make what `choose_weights` added part of the weights it was added to."""
    vlm = policy.config.vlm
    if vlm is None or vlm.lora_rank > 0:
        return
    from peft.tuners.tuners_utils import BaseTunerLayer

    added = [(n, m) for n, m in policy.named_modules() if isinstance(m, BaseTunerLayer)]
    for name, layer in added:
        layer.merge()
        parent, _, child = name.rpartition(".")
        base: nn.Module = layer.get_base_layer()
        setattr(policy.get_submodule(parent), child, base)
