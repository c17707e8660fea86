"""The eyes of Qwen2-VL and Qwen2.5-VL for square images that are all of one size.

The classes' own forward cuts sequences by lengths that it asks the device for. Here the order of
patches and the length of windows follow from the shape, once, and windows are rows of one batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from lam_models.command import UserError


@dataclass(frozen=True)
class Grid:
    """order: of the patches, window by window and in it cell by cell; a patch's number is counted
    row by row. places: row and column of each. back: of the cells, to row by row.
    """

    order: Int64[Tensor, " patches"]
    places: Int64[Tensor, "patches 2"]
    back: Int64[Tensor, " cells"]
    window: int


def see(
    eye: Any, images: Float[Tensor, "images 3 side side"]
) -> Float[Tensor, "images tokens width"]:
    """Tokens of images, row by row, from a model's `visual`."""
    c, count = eye.config, len(images)
    window = getattr(c, "window_size", 0)
    grid = _grid(images.shape[-1], c.patch_size, c.spatial_merge_size, window, images.device)
    x = images.unflatten(3, (-1, c.patch_size)).unflatten(2, (-1, c.patch_size))
    x = x.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)[:, grid.order]
    # A still image is a film of equal frames.
    x = x[:, :, :, None].expand(-1, -1, -1, c.temporal_patch_size, -1, -1)
    x = eye.patch_embed(x.reshape(count * len(grid.order), -1)).view(count, len(grid.order), -1)
    turned = eye.rotary_pos_emb(x, grid.places)
    whole = getattr(c, "fullatt_block_indexes", range(len(eye.blocks)))
    for i, block in enumerate(eye.blocks):
        length = len(grid.order) if i in whole else grid.window
        x = x + _attend(block.attn, block.norm1(x), turned, length)
        x = x + block.mlp(block.norm2(x))
    return eye.merger(x.flatten(0, 1)).view(count, len(grid.back), -1)[:, grid.back]


def _attend(
    attention: Any,
    x: Float[Tensor, "images patches width"],
    turned: tuple[Tensor, Tensor],
    length: int,
) -> Float[Tensor, "images patches width"]:
    """Within each run of `length` patches."""
    heads = attention.qkv(x).unflatten(-1, (3, attention.num_heads, -1))
    q, k, v = heads.unbind(2)
    q, k = (_turn(part, *turned).to(v.dtype) for part in (q, k))
    q, k, v = (part.reshape(-1, length, *part.shape[2:]).transpose(1, 2) for part in (q, k, v))
    found = functional.scaled_dot_product_attention(q, k, v)
    return attention.proj(found.transpose(1, 2).reshape(x.shape))


def _turn(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary positions, halves as pairs."""
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat([-second, first], dim=-1)
    return x.float() * cosine.float()[:, None] + turned * sine.float()[:, None]


@cache
def _grid(side: int, patch: int, merge: int, window_pixels: int, device: torch.device) -> Grid:
    """UserError for a side that does not divide into cells and windows."""
    cell = patch * merge
    cells = side // cell
    across = min(window_pixels // cell or cells, cells)
    if side % (across * cell) or cells == 0:
        raise UserError(f"this model sees images of a multiple of {across * cell or cell} pixels")
    rows = torch.arange(side // patch)
    numbers = rows[:, None] * len(rows) + rows
    # Windows, cells of a window, patches of a cell: of each first the rows.
    shape = (cells // across, across, merge)
    order = numbers.view(*shape, *shape).permute(0, 3, 1, 4, 2, 5).flatten()
    places = torch.stack([order // len(rows), order % len(rows)], dim=-1)
    first = places[:: merge**2] // merge
    back = (first[:, 0] * cells + first[:, 1]).argsort()
    return Grid(order.to(device), places.to(device), back.to(device), (across * merge) ** 2)
