"""Where the end effector is, read from one picture of a camera that stands still.

Inverse dynamics learn it beside the actions, so that video without states teaches places, too
(places.py). In training every picture is shifted, and the network is told how far: a few episodes
show few poses, and their pictures, shifted, show many more (coordinates as an input are those of
Liu et al. 2018, CoordConv, arXiv 1807.03247).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from lam_models.nn.conv import ConvEncoder, strided
from lam_models.policy.inputs import POSE_FEATURES
from lam_models.policy.views import shifted_by

Pictures = UInt8[Tensor, "batch height width 3"]
# Of the end effector, as inputs.pose_features.
Poses = Float[Tensor, "batch 9"]

_POSITION = 3
_LEAST_DEVIATION_M = 1e-3


class PoseUnits(nn.Module):
    """Between poses and the numbers that the network works with: positions are standardised.

    The statistics are buffers: they are saved with the weights.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(_POSITION))
        self.register_buffer("deviation", torch.ones(_POSITION))

    def standardise(self, mean: Float[Tensor, "3"], deviation: Float[Tensor, "3"]) -> None:
        """Set the statistics of the positions, m."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation.clamp_min(_LEAST_DEVIATION_M))

    def enter(self, poses: Poses) -> Poses:
        position = (poses[:, :_POSITION] - self.mean) / self.deviation
        return torch.cat([position, poses[:, _POSITION:]], dim=1)

    def leave(self, numbers: Poses) -> Poses:
        """The columns come back as those of a rotation."""
        position = numbers[:, :_POSITION] * self.deviation + self.mean
        first, second = numbers[:, _POSITION:].chunk(2, dim=1)
        first = functional.normalize(first, dim=1)
        second = second - (first * second).sum(1, keepdim=True) * first
        return torch.cat([position, first, functional.normalize(second, dim=1)], dim=1)


class PoseReader(nn.Module):
    """A picture to a pose.

    channels: of the encoder, whose stages halve the side. shift: greatest in training, as a share
        of the side.
    """

    def __init__(
        self,
        image_size: int,
        channels: tuple[int, ...],
        residual_blocks: int,
        width: int,
        shift: float,
    ) -> None:
        super().__init__()
        self.shift = shift
        self.units = PoseUnits()
        self.encoder = ConvEncoder(3, channels, halve=strided, residual_blocks=residual_blocks)
        side = image_size
        for _ in channels:
            side = (side + 1) // 2
        self.head = nn.Sequential(
            nn.Linear(channels[-1] * side**2 + 2, width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, POSE_FEATURES),
        )

    def loss(self, pictures: Pictures, poses: Poses) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Mean absolute error, of positions and turns alike; and how far positions are off, mm."""
        moved = pictures.new_zeros((len(pictures), 2), dtype=torch.float32)
        most = round(self.shift * pictures.shape[1])
        if self.training and most:
            offsets = torch.randint(-most, most + 1, (2, len(pictures), 1), device=pictures.device)
            pictures = shifted_by(pictures[:, None], offsets)[:, 0]
            moved = offsets[..., 0].mT / most
        missed = self._numbers(pictures, moved) - self.units.enter(poses)
        position, turn = missed[:, :_POSITION], missed[:, _POSITION:]
        off_m = (position.detach() * self.units.deviation).norm(dim=1)
        return 0.5 * (position.abs().mean() + turn.abs().mean()), 1000.0 * off_m.mean()

    @torch.inference_mode()
    def read(self, pictures: Pictures) -> Poses:
        """Position m, then two columns of the rotation."""
        moved = pictures.new_zeros((len(pictures), 2), dtype=torch.float32)
        return self.units.leave(self._numbers(pictures, moved))

    def _numbers(self, pictures: Pictures, moved: Float[Tensor, "batch 2"]) -> Poses:
        """moved: how far the pictures are shifted down and right, as a share of the most."""
        seen = 4.0 * (pictures.movedim(-1, 1).float() / 255.0 - 0.5)
        seen = self.encoder(seen.contiguous(memory_format=torch.channels_last)).relu().flatten(1)
        return self.head(torch.cat([seen, moved], dim=1)).float()
