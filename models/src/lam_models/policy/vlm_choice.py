"""Which vision-language model a policy is made of; apart, for policies without one need none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Vlm:
    """A vision-language model and what of it is trained.

    source: folder of `save_pretrained`, or name on the hub. It stays the place of the tokenizer, of
        the shapes and, with LoRA, of all weights that are not trained: a policy folder holds the
        others only.
    prompt_tokens: to which a prompt is padded or cut.
    codes_in_turn: motion codes are said one after the other (autoregressive.py), not all at once.
    lora_rank: of the language model's products; 0 trains every weight.
    """

    source: str
    prompt: str = "What action should the robot take to {instruction}?"
    prompt_tokens: int = 32
    instruction_first: bool = True
    codes_in_turn: bool = False
    lora_rank: int = 16
    lora_alpha: int = 16
    precision: Literal["float32", "bfloat16"] = "float32"
