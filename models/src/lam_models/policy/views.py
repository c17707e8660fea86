"""Training's random views of what a policy reads: images shifted, moved, tinted, hands astray."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from lam_models.policy.inputs import Examples, Inputs

Batch = TypeVar("Batch", bound=Inputs)
# A matrix and a shift of places in a picture, in half sides.
Undo = tuple[Float[Tensor, "batch 2 2"], Float[Tensor, "batch 2"]]
# Of the rows, the share at which it is not known what the hand was told last.
_FORGOTTEN = 0.1
# Greatest turn, change of size (its logarithm) and shift (in half sides) of a moved picture.
_TURN_RAD, _GROWTH, _SHIFT = 0.3, 0.25, 0.4
# A chunk leads a hand that has strayed back in so many steps.
_BACK_STEPS = 4


def varied(
    batch: Batch,
    shift: float,
    tint: float,
    state_noise: float,
    stray_m: float = 0.0,
    still: int = 0,
) -> Batch:
    """Each row anew; at zeros nothing changes. Draws from torch's global generator.

    shift: greatest, as a share of the side, of each camera on its own but the first `still`.
    tint: greatest change of brightness and of contrast. state_noise: standard deviation of what is
        read of the hand's height [m] and turn [parts of a unit vector]. stray_m: as `strayed` takes
        it.
    """
    pixels = batch.pixels
    if shift > 0.0 and still < pixels.shape[1]:
        moved = shifted(pixels[:, still:], max(1, round(shift * pixels.shape[2])))
        pixels = torch.cat([pixels[:, :still], moved], dim=1)
    if tint > 0.0:
        pixels = tinted(pixels, tint)
    level, rest = batch.state.split([2, batch.state.shape[1] - 2], dim=1)
    state = torch.cat([level, rest + state_noise * torch.randn_like(rest)], dim=1)
    held = batch.held
    if held is not None and state_noise > 0.0:
        held = held * (torch.rand_like(held[:, :1]) >= _FORGOTTEN)
    return strayed(replace(batch, pixels=pixels, state=state, held=held), stray_m)


def strayed(batch: Batch, stray_m: float) -> Batch:
    """The hand beside its way, by so much along x and y (standard deviation): its chunk leads back.

    In demonstrations a hand near a thing stands where it should: a policy could tell the place from
    the hand alone, and would stay wherever it happens to be. How high a hand stands when it closes
    differs from hand to hand, so heights are only blurred.
    """
    off = stray_m * torch.randn_like(batch.state[:, :2])
    batch = replace(batch, state=torch.cat([batch.state[:, :2] + off, batch.state[:, 2:]], dim=1))
    if not isinstance(batch, Examples) or batch.chunk is None:
        return batch
    chunk = batch.chunk.clone()
    steps = min(_BACK_STEPS, chunk.shape[1])
    chunk[:, :steps, :2] -= off[: len(chunk), None] / steps
    return replace(batch, chunk=chunk)


def shifted(
    pixels: UInt8[Tensor, "batch cameras height width 3"], most: int
) -> UInt8[Tensor, "batch cameras height width 3"]:
    """By up to `most` pixels along both axes; what comes in repeats the border."""
    offsets = torch.randint(-most, most + 1, (2, *pixels.shape[:2]), device=pixels.device)
    return shifted_by(pixels, offsets)


def shifted_by(
    pixels: UInt8[Tensor, "batch cameras height width 3"],
    offsets: Int64[Tensor, "2 batch cameras"],
) -> UInt8[Tensor, "batch cameras height width 3"]:
    """What was `offsets` pixels further down and right comes to where a pixel is."""
    batch, cameras, height, width, _ = pixels.shape
    rows, columns = (
        (torch.arange(size, device=pixels.device) + offset[..., None]).clamp(0, size - 1)
        for size, offset in zip((height, width), offsets, strict=True)
    )
    first = torch.arange(batch, device=pixels.device)[:, None, None, None]
    second = torch.arange(cameras, device=pixels.device)[None, :, None, None]
    return pixels[first, second, rows[..., :, None], columns[..., None, :]]


def tinted(
    pixels: UInt8[Tensor, "batch cameras height width 3"], most: float
) -> UInt8[Tensor, "batch cameras height width 3"]:
    """Stretched about grey and lifted, all cameras of a row alike, by a table of 256 values."""
    lift, stretch = most * (2.0 * torch.rand(2, len(pixels), 1, device=pixels.device) - 1.0)
    values = torch.arange(256, device=pixels.device) / 255.0
    table = 0.5 + (values - 0.5) * (1.0 + stretch) + lift
    table = (255.0 * table).round().clamp(0.0, 255.0).to(torch.uint8)
    flat = pixels.flatten(1).long()
    return torch.gather(table, 1, flat).view(pixels.shape)


def moved(
    pictures: Float[Tensor, "batch 3 side side"],
) -> tuple[Float[Tensor, "batch 3 side side"], Undo]:
    """Each turned, grown and shifted by chance, and what takes its places back to the former."""
    batch, device = len(pictures), pictures.device
    turn, growth = (torch.rand(2, batch, device=device) * 2.0 - 1.0).unbind()
    cosine, sine = (_TURN_RAD * turn).cos(), (_TURN_RAD * turn).sin()
    matrix = torch.stack([cosine, -sine, sine, cosine], dim=-1).unflatten(-1, (2, 2))
    matrix = matrix * (_GROWTH * growth).exp()[:, None, None]
    shift = _SHIFT * (torch.rand(batch, 2, device=device) * 2.0 - 1.0)
    grid = functional.affine_grid(
        torch.cat([matrix, shift[..., None]], dim=-1), list(pictures.shape), align_corners=False
    )
    new = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    return new, (matrix, shift)
