"""The one interface of backbones, and the small one that trains from scratch on a CPU.

A backbone turns inputs into `slots` tokens of `width` numbers, in one forward pass: slots stand
behind what was observed, read it and each other, and their outputs are what read-outs work from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from lam_models.nn.transformer import Block, CrossBlock
from lam_models.policy.eyes import Eye
from lam_models.policy.inputs import BUCKETS, WORDS, Inputs, word_rows

LEAST_SCALE = 0.02  # Of state features, m or parts of a unit vector.


@runtime_checkable
class Backbone(Protocol):
    """slots: how many tokens come out. width: of each."""

    slots: int
    width: int

    def read_words(self, instructions: Sequence[str]) -> Int64[np.ndarray, "batch words hashes"]:
        """Instructions as its `Inputs.words`; 0 is padding."""
        ...

    def __call__(self, inputs: Inputs) -> Float[Tensor, "batch slots width"]: ...


class WordEncoder(nn.Module):
    """Rows of the table of words to tokens; the first stands for the whole instruction."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.table = nn.Embedding(BUCKETS + 1, width, padding_idx=0)
        self.whole = nn.Parameter(0.5 * torch.randn(width))
        self.places = nn.Parameter(0.1 * torch.randn(1 + WORDS, width))
        self.block = Block(width, heads)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, words: Int64[Tensor, "batch words hashes"]
    ) -> tuple[Float[Tensor, "batch tokens width"], Bool[Tensor, "batch tokens"]]:
        """The tokens, and which are not padding."""
        whole = self.whole.expand(len(words), 1, -1)
        x = torch.cat([whole, self.table(words).sum(2)], dim=1) + self.places
        allowed = torch.cat([torch.ones_like(words[:, :1, 0]), words[..., 0]], dim=1) != 0
        return self.norm(self.block(x, allowed=allowed)), allowed


class SmallBackbone(nn.Module):
    """An eye a camera, if any, words, and slots that read both; state and delay are a token each.

    mean, scale: of the state's features; buffers, set once from the data.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        *,
        cameras: int,
        image_size: int,
        channels: tuple[int, ...],
        blocks: int,
        maps: int,
        glimpses: int,
        features: int,
        slots: int,
        width: int,
        depth: int,
        heads: int,
        told: int,
    ) -> None:
        super().__init__()
        self.slots, self.width, self.told = slots, width, told
        self.eyes = nn.ModuleList(
            Eye(image_size, channels, blocks, maps, glimpses, width) for _ in range(cameras)
        )
        self.looks = 1 + glimpses
        self.kinds = nn.Parameter(0.3 * torch.randn(cameras * self.looks, width))
        self.words = WordEncoder(width, heads)
        self.state = nn.Sequential(
            nn.Linear(features, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.held = nn.Sequential(
            nn.Linear(told, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.delay = nn.Linear(1, width)
        self.queries = nn.Parameter(torch.randn(slots, width))
        self.blocks = nn.ModuleList(CrossBlock(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))

    def read_words(self, instructions: Sequence[str]) -> Int64[np.ndarray, "batch words hashes"]:
        """Rows of the table of words."""
        return word_rows(instructions)

    def standardise(
        self, mean: Float[Tensor, " features"], deviation: Float[Tensor, " features"]
    ) -> None:
        """Set the statistics of the state's features."""
        self.mean.copy_(mean)
        self.scale.copy_(deviation.clamp_min(LEAST_SCALE))

    def forward(self, inputs: Inputs) -> Float[Tensor, "batch slots width"]:
        words, allowed = self.words(inputs.words)
        seen = self._see(inputs, words[:, 0])
        state = self.state((inputs.state - self.mean) / self.scale)
        late = self.delay(inputs.delay[:, None])
        held = self._held(inputs)
        told = torch.stack([state, late, held], dim=1)
        context = torch.cat([words, told, seen], dim=1)
        rest = allowed.new_ones(len(allowed), told.shape[1] + seen.shape[1])
        allowed = torch.cat([allowed, rest], dim=1)
        # Every slot begins with the gist, so that what is simple needs no attention.
        gist = state + held + words[:, 0] + seen[:, :: self.looks].sum(1)
        slots = self.queries + gist[:, None]
        for block in self.blocks:
            slots = block(slots, context, allowed=allowed)
        return self.norm(slots)

    def _held(self, inputs: Inputs) -> Float[Tensor, "batch width"]:
        """Nothing where nothing is known; a latent has a length of 1 and so differs from it."""
        held = inputs.state.new_zeros(len(inputs.state), self.told)
        if inputs.held is not None:
            held = torch.cat([inputs.held, held[len(inputs.held) :]])
        return self.held(held)

    def _see(
        self, inputs: Inputs, instruction: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch tokens width"]:
        cameras = inputs.pixels.shape[1]
        images = inputs.pixels[:, cameras - len(self.eyes) :].movedim(-1, 2).float().div(255.0)
        images = images - 0.5
        # Channels last, which convolutions are faster with on a CPU.
        views = [view.contiguous(memory_format=torch.channels_last) for view in images.unbind(1)]
        tokens = [eye(view, instruction) for eye, view in zip(self.eyes, views, strict=True)]
        nothing = instruction.new_zeros(len(instruction), 0, self.width)
        return torch.cat([nothing, *tokens], dim=1) + self.kinds
