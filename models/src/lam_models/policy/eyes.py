"""A small image encoder that is told early what to look for.

Paper: Perez et al. 2018, FiLM (arXiv 1709.07871): channels are scaled and shifted by the
instruction. RT-1 and OpenVLA-OFT do the same in larger encoders; it spares a small policy from
carrying every object of the scene to where the instruction is read.
"""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

_GROUPS = 8
# Where the instruction comes in: at an eighth of the side, an object is still a place of its own.
_TOLD_AT = 3


class ToldBlock(nn.Module):
    """x + a convolution of x, normalised, then scaled and shifted as a condition says."""

    def __init__(self, channels: int, condition_width: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 1)
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.GroupNorm(_GROUPS, channels, affine=False)
        self.modulation = nn.Linear(condition_width, 2 * channels)

    def forward(
        self, x: Float[Tensor, "batch c h w"], condition: Float[Tensor, "batch condition_width"]
    ) -> Float[Tensor, "batch c h w"]:
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, dim=1)
        normed = self.norm(self.conv(self.mix(x).relu()))
        return x + (normed * (1.0 + scale) + shift).relu()


class Eye(nn.Module):
    """Images of one camera to tokens, one for each of the last stage's places.

    channels: of the stages, three at least, each of which halves the side.
    blocks: that are told the instruction, of each stage from the third on.
    """

    def __init__(self, image_size: int, channels: tuple[int, ...], blocks: int, width: int) -> None:
        super().__init__()
        if len(channels) < _TOLD_AT or image_size % 2 ** len(channels):
            raise ValueError(
                f"image size {image_size} cannot be halved {len(channels)} times, or {channels} "
                f"are fewer than {_TOLD_AT} stages"
            )
        self.halve = nn.ModuleList(
            nn.Conv2d(before, after, 3 if i else 5, stride=2, padding=1 if i else 2)
            for i, (before, after) in enumerate(pairwise((3, *channels)))
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(ToldBlock(c, width) for _ in range(blocks))
            for c in channels[_TOLD_AT - 1 :]
        )
        self.to_tokens = nn.Sequential(nn.LayerNorm(channels[-1]), nn.Linear(channels[-1], width))
        self.tokens = (image_size // 2 ** len(channels)) ** 2

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        instruction: Float[Tensor, "batch width"],
    ) -> Float[Tensor, "batch {self.tokens} width"]:
        x = images
        for stage, halve in enumerate(self.halve):
            x = halve(x).relu()
            if stage >= _TOLD_AT - 1:
                told = self.blocks[stage - _TOLD_AT + 1]
                assert isinstance(told, nn.ModuleList)
                for block in told:
                    x = block(x, instruction)
        return self.to_tokens(x.flatten(2).mT)
