"""A U-Net that predicts an image from an image and a vector: LAPO's forward model.

Papers: Ronneberger et al. 2015 (arXiv 1505.04597); Schmidt & Jiang 2023, LAPO (2312.10812). The
vector enters twice: as constant channels of the input and at the bottleneck, in the place of the
last skip connection.

Departure: the bottleneck's 2x2 convolution has stride 2 instead of 1, which is the same for LAPO's
64 pixels and lets other sizes in.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lam_models.nn.conv import ResidualConv


class ConditionedUNet(nn.Module):
    """Halves `stages` + 1 times, from `base` channels doubling up to base * 2**stages.

    Image sides must be multiples of 2**(stages + 1): 64 for LAPO's five stages of base 24.
    The result is not squashed (LAPO: tanh / 2 for pixels in [-0.5, 0.5]).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        condition_width: int,
        *,
        base: int = 24,
        stages: int = 5,
    ) -> None:
        super().__init__()
        self.multiple = 2 ** (stages + 1)
        widths = [base * 2**i for i in range(stages)]
        deepest = 2 * widths[-1]
        befores = [in_channels + condition_width, *widths[:-1]]
        self.down = nn.ModuleList(_down(a, b) for a, b in zip(befores, widths, strict=True))
        self.bottleneck = nn.Conv2d(widths[-1], deepest, 2, stride=2)

        skips = [condition_width, *reversed(widths)]
        inputs = [deepest, *reversed(widths)]
        outputs = [*reversed(widths), base]
        self.up = nn.ModuleList(
            _up(before + skip, after)
            for before, skip, after in zip(inputs, skips, outputs, strict=True)
        )
        self.head = nn.Sequential(
            nn.Conv2d(base + in_channels, base, 3, padding=1),
            ResidualConv(base, hidden=base // 2),
            nn.ReLU(),
            nn.Conv2d(base, out_channels, 1),
        )

    def forward(
        self,
        image: Float[Tensor, "batch in_channels h w"],
        condition: Float[Tensor, "batch condition_width"],
    ) -> Float[Tensor, "batch out_channels h w"]:
        height, width = image.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise ValueError(
                f"{height} x {width} pixels: sides must be multiples of {self.multiple}"
            )
        x = torch.cat([image, _spread(condition, image)], dim=1)
        skips = []
        for layer in self.down:
            x = layer(x)
            skips.append(x)
        x = self.bottleneck(x)
        skips.append(_spread(condition, x))
        for layer in self.up:
            x = layer(torch.cat([x, skips.pop()], dim=1))
        return self.head(torch.cat([x, image], dim=1))


def _spread(
    condition: Float[Tensor, "batch width"], like: Float[Tensor, "batch c h w"]
) -> Float[Tensor, "batch width h w"]:
    return condition[:, :, None, None].expand(-1, -1, *like.shape[-2:])


def _down(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        nn.BatchNorm2d(out_channels),
        ResidualConv(out_channels, hidden=out_channels // 2),
        nn.MaxPool2d(2),
        nn.ReLU(),
    )


def _up(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2),
        nn.BatchNorm2d(out_channels),
        ResidualConv(out_channels, hidden=out_channels // 2),
        nn.ReLU(),
    )
