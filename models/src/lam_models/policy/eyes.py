"""A small image encoder that is told what to look for and says where it is.

Papers: Perez et al. 2018, FiLM (arXiv 1709.07871): channels are scaled and shifted by the
instruction, as RT-1 and OpenVLA-OFT do in larger encoders. Levine et al. 2016 (1504.00702): maps
become the places of their peaks by a spatial softmax, from which a motion is nearly linear; few
demonstrations then suffice. Here the instruction also shapes the maps themselves, as in Shridhar
et al. 2021, CLIPort (2109.12098), and the first maps bring along what is seen at their places.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

_GROUPS = 8


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
    """Images of one camera to tokens: first the places of all maps, then what the first maps see.

    channels: of the stages, each of which halves the side. blocks: after them, that are told the
        instruction. maps: how many places. glimpses: of how many the look is a token.
    """

    def __init__(
        self,
        image_size: int,
        channels: tuple[int, ...],
        blocks: int,
        maps: int,
        glimpses: int,
        width: int,
    ) -> None:
        super().__init__()
        if image_size % 2 ** len(channels):
            raise ValueError(f"image size {image_size} cannot be halved {len(channels)} times")
        self.halve = nn.ModuleList(
            nn.Conv2d(before, after, 3 if i else 5, stride=2, padding=1 if i else 2)
            for i, (before, after) in enumerate(pairwise((3, *channels)))
        )
        last, self.glimpses = channels[-1], glimpses
        self.blocks = nn.ModuleList(ToldBlock(last, width) for _ in range(blocks))
        self.maps = nn.Conv2d(last, maps, 1)
        self.told_maps = nn.Linear(width, maps * last)
        self.places = nn.Sequential(nn.Linear(2 * maps, width), nn.GELU(), nn.Linear(width, width))
        self.looks = nn.Linear(last, width)
        self.tokens = 1 + glimpses

    def forward(
        self,
        images: Float[Tensor, "batch 3 rows columns"],
        instruction: Float[Tensor, "batch width"],
    ) -> Float[Tensor, "batch {self.tokens} width"]:
        x = images
        for halve in self.halve:
            x = halve(x).relu()
        for block in self.blocks:
            x = block(x, instruction)
        # Each map is a pattern of its own and one that the instruction asks for.
        asked = self.told_maps(instruction).unflatten(1, (self.maps.out_channels, -1))
        flat = x.flatten(2)
        heat = self.maps(x).flatten(2) + asked @ flat / flat.shape[1] ** 0.5
        heat = heat.float().softmax(-1)
        rows, columns = (torch.linspace(-1.0, 1.0, size, device=x.device) for size in x.shape[-2:])
        grid = torch.cartesian_prod(rows, columns)
        places = self.places((heat @ grid).flatten(1))
        looks = self.looks(heat[:, : self.glimpses].to(x) @ flat.mT)
        return torch.cat([places[:, None], looks], dim=1)
