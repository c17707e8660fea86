"""How the hand stands at a place: read from the table around it, as seen from right above.

Papers: Zeng et al. 2020, Transporter (arXiv 2010.14406): how a thing is turned is read from what is
cut out around the place that was voted for. James and Davison 2022, Q-attention (2105.14829): from
coarse to fine, which sets a place right, too. A cell of places.py is too coarse to tell a turn.

The calibration straightens what is cut out: its sides are the axes of the base frame, so that a
thing which is turned alike looks nearly alike wherever it stands.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lam_models.nn.conv import normed
from lam_models.policy.inputs import POSE_FEATURES
from lam_models.sense.pinhole import Pinhole

# Votes are for places of this height, where things are held.
PLANE_M = 0.02
_SIDE_M, _POINTS = 0.12, 32  # Of what is cut out.
_CHANNELS = (16, 32, 48, 64)
_REACH_M = 0.02  # So far a place is set right by one unit of the network.
_HIDDEN, _DROPPED = 128, 0.1
_LEAST_WAY_M, _WAY_UNIT_M = 0.01, 0.2
_FROM_BASE_M = (0.5, 0.0)  # The middle of a table, roughly.

Spots = Float[Tensor, "batch places 2"]


class TableView(nn.Module):
    """A calibrated camera that sees the plane of PLANE_M. Places in its picture: -1 to 1.

    Always in full precision: in bf16 the table would be millimetres off.
    """

    turn: Tensor
    eye_m: Tensor

    def __init__(self, pinhole: Pinhole) -> None:
        super().__init__()
        self.focal = pinhole.focal
        R_base_camera = torch.from_numpy(pinhole.R_base_camera).float()
        self.register_buffer("turn", R_base_camera, persistent=False)
        self.register_buffer("eye_m", torch.tensor(pinhole.position_m), persistent=False)

    def on_table(self, spots: Float[Tensor, "*any 2"]) -> Float[Tensor, "*any 2"]:
        """From the picture to x, y in the base frame [m], as Pinhole.on_plane."""
        ahead = torch.full_like(spots[..., :1], self.focal)
        with torch.autocast(spots.device.type, enabled=False):
            rays = torch.cat([spots, ahead], dim=-1) @ self.turn.mT
        far = (PLANE_M - self.eye_m[2]) / rays[..., 2:].clamp_max(-0.05)
        return self.eye_m[:2] + far * rays[..., :2]

    def in_picture(self, spots_m: Float[Tensor, "*any 2"]) -> Float[Tensor, "*any 2"]:
        """Back again."""
        there = torch.cat([spots_m, torch.full_like(spots_m[..., :1], PLANE_M)], dim=-1)
        with torch.autocast(there.device.type, enabled=False):
            seen = (there - self.eye_m) @ self.turn
        return self.focal * seen[..., :2] / seen[..., 2:].clamp_min(0.05)


class CloseLook(nn.Module):
    """A picture and spots near places to how the hand stands there: POSE_FEATURES each."""

    offsets_m: Tensor

    def __init__(self, view: TableView, places: int, word_width: int) -> None:
        super().__init__()
        self.view = view
        layers = [
            layer
            for i, (before, after) in enumerate(zip((3, *_CHANNELS), _CHANNELS, strict=False))
            for layer in normed(before, after, 3, 2 if i else 1)
        ]
        self.see = nn.Sequential(*layers, nn.Flatten())
        seen = _CHANNELS[-1] * (_POINTS // 2 ** (len(_CHANNELS) - 1)) ** 2
        self.read = nn.ModuleList(
            nn.Sequential(
                nn.Linear(seen + word_width + 5, _HIDDEN),
                nn.GELU(),
                nn.Dropout(_DROPPED),
                nn.Linear(_HIDDEN, POSE_FEATURES),
            )
            for _ in range(places)
        )
        line = ((torch.arange(_POINTS) + 0.5) / _POINTS - 0.5) * _SIDE_M
        self.register_buffer("offsets_m", torch.cartesian_prod(line, line), persistent=False)

    def forward(
        self,
        pictures: Float[Tensor, "batch 3 side side"],
        spots_m: Spots,
        said: Float[Tensor, "batch words"],
    ) -> Float[Tensor, "batch places 9"]:
        """Position [m] and two columns of the rotation. pictures: from 0 to 1, as they came."""
        seen = self.see(4.0 * (self.cut_out(pictures, spots_m).flatten(0, 1) - 0.57))
        numbers = [
            seen.unflatten(0, spots_m.shape[:2]),
            said[:, None].expand(-1, spots_m.shape[1], -1),
            _ways(spots_m),
            (spots_m - spots_m.new_tensor(_FROM_BASE_M)) / _WAY_UNIT_M,
        ]
        known = torch.cat(numbers, dim=-1).unbind(1)
        read = torch.stack([read(x) for read, x in zip(self.read, known, strict=True)], dim=1)
        read = read.float()
        return torch.cat([spots_m + _REACH_M * read[..., :2], read[..., 2:]], dim=-1)

    def cut_out(
        self, pictures: Float[Tensor, "batch 3 side side"], spots_m: Spots
    ) -> Float[Tensor, "batch places 3 points points"]:
        """Down: x of the base frame; right: its y."""
        points = self.view.in_picture(spots_m[:, :, None] + self.offsets_m)
        batch, places = spots_m.shape[:2]
        # All cuts of one picture at once.
        grid = points.flatten(1, 2)[:, :, None].to(pictures)
        cut = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
        return cut.reshape(batch, 3, places, _POINTS, _POINTS).transpose(1, 2)


def _ways(spots_m: Spots) -> Float[Tensor, "batch places 3"]:
    """From each place where the other one is: in what direction, and how far."""
    way = spots_m.flip(1) - spots_m
    far = way.norm(dim=-1, keepdim=True)
    return torch.cat([way / far.clamp_min(_LEAST_WAY_M), far / _WAY_UNIT_M], dim=-1)
