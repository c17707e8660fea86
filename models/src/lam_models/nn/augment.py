"""Random views of clips: shifted, rotated, tilted, brighter or darker.

Each draw, from torch's global generator, is one a row of the batch: all frames of a clip change
alike, so that what moves in it is left as it was. For a draw of its own for each frame, flatten the
frames into the batch. At strength 0 nothing changes. A window of a clip: nn/crop.py.

The geometric views are homographies of a frame of -1 to 1 (x right, y down), from where a pixel is
shown to where it is taken. `warp` applies several in one interpolation.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def shifts(count: int, most: float, device: torch.device | str = "cpu") -> Float[Tensor, "n 3 3"]:
    """By up to `most` of a side, along both axes."""
    x, y = 2.0 * most * _draw(2, count, device)
    view = _identity(count, device)
    view[:, 0, 2], view[:, 1, 2] = x, y
    return view


def rotations(
    count: int, most_rad: float, device: torch.device | str = "cpu"
) -> Float[Tensor, "n 3 3"]:
    """About the centre, by up to `most_rad` either way; of square frames."""
    (angle,) = most_rad * _draw(1, count, device)
    view = _identity(count, device)
    view[:, 0, 0] = view[:, 1, 1] = angle.cos()
    view[:, 0, 1], view[:, 1, 0] = -angle.sin(), angle.sin()
    return view


def perspectives(
    count: int, most: float, device: torch.device | str = "cpu"
) -> Float[Tensor, "n 3 3"]:
    """As from a camera tilted about both axes: the depth of an edge differs by up to `most` < 0.5
    from that of the centre."""
    if not 0.0 <= most < 0.5:
        raise ValueError(f"perspective of {most}: must be at least 0 and below 0.5")
    x, y = most * _draw(2, count, device)
    view = _identity(count, device)
    view[:, 2, 0], view[:, 2, 1] = x, y
    return view


def by_chance(views: Float[Tensor, "n 3 3"], probability: float = 0.5) -> Float[Tensor, "n 3 3"]:
    """Each view with that probability, else the frame as it is."""
    kept = torch.rand(len(views), 1, 1, device=views.device) < probability
    return torch.where(kept, views, _identity(len(views), views.device))


def warp(
    clips: Float[Tensor, "batch *time channels height width"], *views: Float[Tensor, "batch 3 3"]
) -> Float[Tensor, "batch *time channels height width"]:
    """Every clip in the first of its views, that in the next, and so on; where this leaves the
    frame, the nearest pixel of its border."""
    rows, columns = (
        torch.arange(1 - n, n, 2, device=clips.device, dtype=torch.float32) / n
        for n in clips.shape[-2:]
    )
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    places = torch.stack([x, y, torch.ones_like(x)], dim=-1).flatten(0, 1)
    # In half precision a place would be off by a pixel.
    with torch.autocast(clips.device.type, enabled=False):
        for view in reversed(views):
            places = places @ view.mT
    grid = (places[..., :2] / places[..., 2:]).unflatten(1, clips.shape[-2:])
    seen = F.grid_sample(
        clips.flatten(1, -3), grid.to(clips), padding_mode="border", align_corners=False
    )
    return seen.reshape(clips.shape)


def jitter(
    clips: Float[Tensor, "batch *time channels height width"], brightness: float, contrast: float
) -> Float[Tensor, "batch *time channels height width"]:
    """Values of 0 to 1 lifted by up to `brightness`, stretched about grey by up to `contrast`."""
    lift, stretch = _draw(2, len(clips), clips.device).view(2, -1, *[1] * (clips.ndim - 1))
    changed = clips + (clips - 0.5) * contrast * stretch + brightness * lift
    return changed.clamp(0.0, 1.0)


def _draw(kinds: int, count: int, device: torch.device | str) -> Float[Tensor, "kinds count"]:
    """Uniform from -1 to 1."""
    return 2.0 * torch.rand(kinds, count, device=device) - 1.0


def _identity(count: int, device: torch.device | str) -> Float[Tensor, "count 3 3"]:
    return torch.eye(3, device=device).repeat(count, 1, 1)
