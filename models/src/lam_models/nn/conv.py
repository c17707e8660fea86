"""Residual convolutional encoder and the decoder that mirrors it.

Papers: Espeholt et al. 2018, IMPALA (arXiv 1802.01561), with (16, 32, 32) channels and max pooling,
scaled by 4 in LAPO (2312.10812); LAOM (2502.00379) halves by strided convolution and uses ReLU6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jaxtyping import Float
from torch import Tensor, nn

Activation = Callable[[], nn.Module]
Halving = Callable[[int, int], nn.Module]


class ResidualConv(nn.Module):
    """x + conv(activation(conv(activation(x)))), through `hidden` channels."""

    def __init__(
        self, channels: int, *, hidden: int | None = None, activation: Activation = nn.ReLU
    ) -> None:
        super().__init__()
        hidden = channels if hidden is None else hidden
        self.body = nn.Sequential(
            activation(),
            nn.Conv2d(channels, hidden, 3, padding=1),
            activation(),
            nn.Conv2d(hidden, channels, 3, padding=1),
        )

    def forward(self, x: Float[Tensor, "batch c h w"]) -> Float[Tensor, "batch c h w"]:
        return x + self.body(x)


def pooled(in_channels: int, out_channels: int) -> nn.Module:
    """Convolve, then halve by max pooling (IMPALA)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.MaxPool2d(3, stride=2, padding=1)
    )


def strided(in_channels: int, out_channels: int) -> nn.Module:
    """Halve while convolving (LAOM)."""
    return nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)


def normed(before: int, after: int, kernel: int, stride: int = 1) -> tuple[nn.Module, ...]:
    """Convolve, normalise over the batch, cut off below 0; of an odd kernel."""
    conv = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)
    return conv, nn.BatchNorm2d(after), nn.ReLU()


class ConvEncoder(nn.Sequential):
    """One stage for each entry of `channels`: halve (rounding up), then residual blocks."""

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        *,
        halve: Halving = pooled,
        residual_blocks: int = 2,
        activation: Activation = nn.ReLU,
    ) -> None:
        stages = [
            nn.Sequential(
                halve(before, after),
                *(ResidualConv(after, activation=activation) for _ in range(residual_blocks)),
            )
            for before, after in zip((in_channels, *channels), channels, strict=False)
        ]
        super().__init__(*stages)

    def forward(
        self, input: Float[Tensor, "batch in_channels h w"]
    ) -> Float[Tensor, "batch out_channels rows columns"]:
        return super().forward(input)


class ConvDecoder(nn.Sequential):
    """One stage for each entry of `channels`: double, then residual blocks; last a 1x1 convolution.

    The result is not squashed: a system applies what its pixel range needs.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        out_channels: int,
        *,
        residual_blocks: int = 2,
        activation: Activation = nn.ReLU,
    ) -> None:
        stages = [
            nn.Sequential(
                nn.ConvTranspose2d(before, after, 2, stride=2),
                *(ResidualConv(after, activation=activation) for _ in range(residual_blocks)),
            )
            for before, after in zip((in_channels, *channels), channels, strict=False)
        ]
        super().__init__(*stages, activation(), nn.Conv2d(channels[-1], out_channels, 1))

    def forward(
        self, input: Float[Tensor, "batch in_channels rows columns"]
    ) -> Float[Tensor, "batch out_channels h w"]:
        return super().forward(input)
