"""Instructions to tokens: a frozen T5, or a small byte transformer that trains with its system.

Papers: Raffel et al. 2020, T5 (arXiv 1910.10683), which UniVLA reads instructions with; Xue et al.
2022, ByT5 (2105.13626), for bytes as the vocabulary. transformers is imported on construction of
the T5 only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lam_models.nn.positions import SinusoidalPositions
from lam_models.nn.transformer import Block

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_START, _PAD = 256, 257


@dataclass(frozen=True)
class Text:
    """`allowed` marks the tokens that are not padding, at least one a row."""

    tokens: Float[Tensor, "batch tokens width"]
    allowed: Bool[Tensor, "batch tokens"]


class TextEncoder(Protocol):
    """A module whose tokens have `width` entries."""

    width: int

    def __call__(self, instructions: Sequence[str]) -> Text: ...


class ByteEncoder(nn.Module):
    """UTF-8 bytes after a start token, so that an empty instruction is a token too."""

    def __init__(self, width: int, *, depth: int = 1, heads: int = 4) -> None:
        super().__init__()
        self.width = width
        self.embed = nn.Embedding(_PAD + 1, width, padding_idx=_PAD)
        self.positions = SinusoidalPositions()
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, instructions: Sequence[str]) -> Text:
        rows = [torch.tensor([_START, *text.encode()]) for text in instructions]
        padded = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=_PAD)
        bytes_in = padded.to(self.embed.weight.device)
        allowed = bytes_in != _PAD
        x = self.positions(self.embed(bytes_in))
        for block in self.blocks:
            x = block(x, allowed=allowed)
        return Text(self.norm(x), allowed)


class FrozenT5(nn.Module):
    """The last hidden states of a T5 encoder that never trains."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__()
        self.model = model.requires_grad_(False).eval()
        self.tokenizer = tokenizer
        self.width: int = model.config.d_model

    @classmethod
    def from_hub(cls, name: str = "google-t5/t5-base") -> FrozenT5:
        """Released weights, from the hub, its cache or a local folder."""
        from transformers import AutoTokenizer, T5EncoderModel

        return cls(T5EncoderModel.from_pretrained(name), AutoTokenizer.from_pretrained(name))

    def train(self, mode: bool = True) -> FrozenT5:
        """Stays in evaluation whatever `mode` says."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, instructions: Sequence[str]) -> Text:
        read = self.tokenizer(list(instructions), return_tensors="pt", padding=True)
        device = next(self.model.parameters()).device
        ids, mask = read["input_ids"].to(device), read["attention_mask"].to(device)
        hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return Text(hidden, mask.bool())
