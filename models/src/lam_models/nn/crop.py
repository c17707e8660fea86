"""The random resized crop of Inception (Szegedy et al. 2014, arXiv 1409.4842), for clips."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_RATIOS = (3.0 / 4.0, 4.0 / 3.0)


def resized_crop(
    clips: Float[Tensor, "batch time channels height width"], smallest: float
) -> Float[Tensor, "batch time channels height width"]:
    """A window of each clip, the same for all its frames, stretched to the size of the whole.

    smallest: share of the area; the window's is uniform between it and 1, its ratio of width to
        height log-uniform from 3:4 to 4:3, cut where it would leave the frame. 1 changes nothing.
    """
    if smallest >= 1.0:
        return clips
    batch, time = clips.shape[:2]
    area, ratio, x, y = torch.rand(4, batch, device=clips.device)
    area = smallest + (1.0 - smallest) * area
    ratio = _RATIOS[0] * (_RATIOS[1] / _RATIOS[0]) ** ratio
    width, height = (area * ratio).sqrt().clamp(max=1.0), (area / ratio).sqrt().clamp(max=1.0)
    # affine_grid reads the frame as -1..1: a scale of the whole and the centre of the window.
    centre_x, centre_y = (2.0 * x - 1.0) * (1.0 - width), (2.0 * y - 1.0) * (1.0 - height)
    zero = torch.zeros_like(width)
    across, down = (width, zero, centre_x), (zero, height, centre_y)
    window = torch.stack([torch.stack(across, dim=1), torch.stack(down, dim=1)], dim=1)
    grid = F.affine_grid(window, [batch, 1, *clips.shape[-2:]], align_corners=False)
    stacked = F.grid_sample(
        clips.flatten(1, 2), grid.to(clips), padding_mode="border", align_corners=False
    )
    return stacked.unflatten(1, (time, -1))
