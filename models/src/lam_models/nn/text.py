"""Instructions to tokens: a frozen T5, or a small byte transformer that trains with its system.

Papers: Raffel et al. 2020, T5 (arXiv 1910.10683), which UniVLA reads instructions with; Xue et al.
2022, ByT5 (2105.13626), for bytes as the vocabulary. transformers is imported on construction of
the T5 only. Construction builds shapes and never downloads: the T5's weights are random until
`load_released` fetches them or a model folder's are loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lam_models.command import UserError, unknown
from lam_models.nn.positions import SinusoidalPositions
from lam_models.nn.transformer import Block

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BYTES = "bytes"
# What transformers' tokenizers are used as: ids and the mask of what is not padding.
Tokenizer: TypeAlias = Callable[..., Mapping[str, Tensor]]
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


@dataclass(frozen=True)
class T5Shape:
    """The encoder of a T5 of the first release."""

    width: int = 768
    depth: int = 12
    heads: int = 12
    hidden: int = 3072

    def build(self, vocabulary: int = 32_128) -> PreTrainedModel:
        """With random weights."""
        from transformers import T5Config, T5EncoderModel

        config = T5Config(
            vocab_size=vocabulary,
            d_model=self.width,
            d_kv=64,
            d_ff=self.hidden,
            num_layers=self.depth,
            num_heads=self.heads,
        )
        return T5EncoderModel(config)


SHAPES = {
    "google-t5/t5-small": T5Shape(512, 6, 8, 2048),
    "google-t5/t5-base": T5Shape(),
    "google-t5/t5-large": T5Shape(1024, 24, 16, 4096),
}


class FrozenT5(nn.Module):
    """The last hidden states of a T5 encoder that never trains.

    source: where `load_released` finds weights and tokenizer, a name of the hub or a folder; None
        for nothing.
    tokenizer: instructions to ids; without one that of `source`, loaded when first needed.
    """

    def __init__(
        self, model: PreTrainedModel, source: str | None = None, tokenizer: Tokenizer | None = None
    ) -> None:
        super().__init__()
        # The stack alone: its owner holds the same embedding a second time.
        self.model = model.get_encoder().requires_grad_(False).eval()
        self.source = source
        self.width: int = model.config.d_model
        self._tokenizer = tokenizer

    @classmethod
    def named(cls, name: str) -> FrozenT5:
        """The encoder of a name in `SHAPES` or of a local folder. UserError for any other."""
        if name in SHAPES:
            return cls(SHAPES[name].build(), name)
        if Path(name).is_dir():
            from transformers import T5Config, T5EncoderModel

            return cls(T5EncoderModel(T5Config.from_pretrained(name)), name)
        raise unknown("text encoder or folder of one", name, [BYTES, *SHAPES])

    @property
    def tokenizer(self) -> Tokenizer:
        """Loaded when first asked for. UserError where it cannot be had."""
        if self._tokenizer is None:
            from transformers import AutoTokenizer

            if self.source is None:
                raise ValueError("a T5 without a source needs a tokenizer")
            try:
                self._tokenizer = AutoTokenizer.from_pretrained(self.source)
            except (OSError, ValueError) as error:
                raise _missing("tokenizer", self.source) from error
        return self._tokenizer

    def load_released(self) -> None:
        """Weights and tokenizer of `source`, from its folder, the hub's cache or the hub."""
        if self.source is None:
            return
        from transformers import T5EncoderModel

        try:
            released = T5EncoderModel.from_pretrained(self.source)
        except OSError as error:
            raise _missing("weights", self.source) from error
        self.model.load_state_dict(released.get_encoder().state_dict())
        _ = self.tokenizer

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


Language: TypeAlias = FrozenT5 | ByteEncoder


def make_text(name: str, width: int, heads: int) -> Language:
    """The frozen T5 `name`; for "bytes" a trainable encoder of this width and number of heads."""
    return ByteEncoder(width, heads=heads) if name == BYTES else FrozenT5.named(name)


def _missing(what: str, source: str) -> UserError:
    return UserError(
        f"the {what} of '{source}' cannot be loaded: neither a folder nor in the hub's cache, and "
        "the hub does not answer"
    )
