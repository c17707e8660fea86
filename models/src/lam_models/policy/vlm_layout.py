"""Where what stands in the sequence of a vision-language policy, who reads whom, and what is kept.

[instruction][images][rest] or [images][instruction][rest]: of the rest, the last tokens (the slots)
read each other in both directions. All of it is fixed once the sizes are; only which words of an
instruction are padding differs from row to row.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer


@dataclass(frozen=True)
class Layout:
    """text: tokens of the instruction. images: how many, of `image_tokens` each.

    rest: tokens behind them, of which the last `mutual` read each other, and those before them what
        stands before, as the prompt does.
    bidirectional: instruction and images read each other, too.
    """

    text: int
    images: int
    image_tokens: int
    rest: int
    mutual: int
    text_first: bool
    bidirectional: bool = False

    @property
    def prompt(self) -> int:
        return self.text + self.images * self.image_tokens

    @property
    def text_start(self) -> int:
        return 0 if self.text_first else self.prompt - self.text

    def allowed(self) -> Bool[Tensor, "tokens tokens"]:
        """Row reads column, padding aside."""
        count = self.prompt + self.rest
        allowed = torch.ones(count, count, dtype=torch.bool).tril()
        allowed[count - self.mutual :] = True
        if self.bidirectional:
            allowed[: self.prompt, : self.prompt] = True
        return allowed

    def positions(self, grid: bool) -> Int64[Tensor, "*axes 1 tokens"]:
        """Of the tokens, from 0; with `grid` three rows: of an image's tokens time, row, column."""
        if not grid:
            return torch.arange(self.prompt + self.rest)[None]
        side = isqrt(self.image_tokens)
        cells = torch.stack(
            [
                torch.zeros(side * side, dtype=torch.long),
                torch.arange(side).repeat_interleave(side),
                torch.arange(side).repeat(side),
            ]
        )
        text = torch.arange(self.text).expand(3, -1)
        kinds = [cells] * self.images
        kinds = [text, *kinds] if self.text_first else [*kinds, text]
        parts, start = [], 0
        for part in [*kinds, torch.arange(self.rest).expand(3, -1)]:
            parts.append(part + start)
            start += int(part.max()) + 1 if part.shape[1] else 0
        return torch.cat(parts, dim=1)[:, None]


def barred(
    base: Bool[Tensor, "tokens tokens"],
    words: Int64[Tensor, "batch words 1"],
    layout: Layout,
    dtype: torch.dtype,
) -> Float[Tensor, "batch 1 tokens tokens"]:
    """What is added to attention: 0, or the least number where nothing may be read.

    Padding is read by itself alone.
    """
    count, start = len(base), layout.text_start
    known = torch.ones(len(words), count, dtype=torch.bool, device=base.device)
    known[:, start : start + layout.text] = words[..., 0] != 0
    itself = torch.eye(count, dtype=torch.bool, device=base.device)
    allowed = (base & known[:, None]) | itself
    blank = torch.zeros((), dtype=dtype, device=base.device).expand(allowed.shape)
    return blank.masked_fill(~allowed, torch.finfo(dtype).min)[:, None]


class Reading:
    """A sequence on its way through a language model, part by part.

    mask, positions: of the whole sequence. cache: of what was read, None where all is read at once.
    at: how many tokens were read.
    """

    def __init__(
        self, language: Any, mask: Tensor, positions: Tensor, cache: Any = None, at: int = 0
    ) -> None:
        self.language, self.cache, self.at = language, cache, at
        self.mask, self.positions = mask, positions

    def read(self, x: Float[Tensor, "batch tokens inner"]) -> Float[Tensor, "batch tokens inner"]:
        """The next tokens, embedded."""
        start, self.at = self.at, self.at + x.shape[1]
        places = self.positions[..., start : self.at]
        return self.language(
            inputs_embeds=x,
            attention_mask=self.mask[..., start : self.at, : self.at],
            position_ids=places.expand(*places.shape[:-2], len(x), -1),
            past_key_values=self.cache,
            use_cache=self.cache is not None,
        ).last_hidden_state


@runtime_checkable
class Known(Protocol):
    """What a language model kept of the first `start` tokens, for a cache of its own."""

    @property
    def start(self) -> int: ...

    def cache(self) -> Cache: ...


@dataclass(frozen=True)
class Ahead:
    """Keys and values of instructions, layer by layer. Plain tensors that nobody writes to."""

    keys: tuple[Float[Tensor, "batch heads words dim"], ...]
    values: tuple[Float[Tensor, "batch heads words dim"], ...]

    @classmethod
    def of(cls, language: Any, x: Tensor, mask: Tensor, positions: Tensor) -> Ahead:
        """Read the embedded instructions `x` with a language model."""
        reading = Reading(language, mask, positions, DynamicCache(config=language.config))
        reading.read(x)
        layers: list[Any] = list(reading.cache.layers)
        return cls(tuple(one.keys for one in layers), tuple(one.values for one in layers))

    @property
    def start(self) -> int:
        return self.keys[0].shape[-2]

    def cache(self) -> Cache:
        """As a language model takes it; what follows is put behind in copies of its own."""
        return Cache(layers=[_Begun(k, v) for k, v in zip(self.keys, self.values, strict=True)])


@dataclass(frozen=True)
class Room:
    """Buffers for the keys and values of a whole sequence, of which the first `start` are kept.

    What follows is written over from one sequence to the next, in place: shapes and addresses stand
    still, and only one sequence is read at a time.
    """

    keys: tuple[Float[Tensor, "batch heads tokens dim"], ...]
    values: tuple[Float[Tensor, "batch heads tokens dim"], ...]
    start: int

    @classmethod
    def like(cls, ahead: Ahead, tokens: int) -> Room:
        """For sequences of `tokens`, beginning with those of `ahead`."""
        made = (
            tuple(x.new_zeros(*x.shape[:2], tokens, x.shape[-1]) for x in kept)
            for kept in (ahead.keys, ahead.values)
        )
        room = cls(*made, start=ahead.start)
        room.keep(ahead)
        return room

    def keep(self, ahead: Ahead) -> None:
        """Begin with other instructions, read as those before."""
        kept = (*ahead.keys, *ahead.values)
        for own, new in zip((*self.keys, *self.values), kept, strict=True):
            own[..., : self.start, :].copy_(new)

    def cache(self) -> Cache:
        pairs = zip(self.keys, self.values, strict=True)
        return Cache(layers=[_Placed(k, v, self.start) for k, v in pairs])


class _Begun(DynamicLayer):
    """A layer that begins with what is known."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True


class _Placed(_Begun):
    """A layer that is written behind the first `end` tokens of its buffers."""

    def __init__(self, keys: Tensor, values: Tensor, end: int) -> None:
        super().__init__(keys, values)
        self.buffers, self.end = (keys, values), end

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        before, self.end = self.end, self.end + key_states.shape[-2]
        keys, values = self.buffers
        keys[..., before : self.end, :].copy_(key_states)
        values[..., before : self.end, :].copy_(value_states)
        return keys[..., : self.end, :], values[..., : self.end, :]

    def get_seq_length(self) -> int:
        return self.end
