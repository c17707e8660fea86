"""What a latent-action system can offer. A system implements the roles it has, and no base class.

A stage asks for the role it needs with `isinstance` and refuses by name a system that lacks it:
a language-to-latent system has no Labeler, so there is nothing to label with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

from lam_models.types import ActionChunk, LatentSpec, Observation


class VideoConfig(Protocol):
    """What the Config of every video system says of the clips it wants.

    image_size: pixels of a side of its square images.
    gap_s: time between the frames of a clip.
    frames: frames of a training clip.
    history: frames before the present one that `encode` and `decode` make use of.
    """

    @property
    def image_size(self) -> int: ...
    @property
    def gap_s(self) -> float: ...
    @property
    def frames(self) -> int: ...
    @property
    def history(self) -> int: ...


@dataclass(frozen=True)
class ClipBatch:
    """Clips of one time gap, stacked: `frames[:, i]` is shown `i * gap_s` after the first.

    frames: as the system's Config says: images in 0..1, or one plain vector a frame.
    actions: the action that led from each frame to the next, where clips carry them.
    labelled: the rows whose actions may be used; None means all of them.
    instructions: one a clip, or none at all.
    """

    frames: Float[Tensor, "batch time *frame"]
    actions: Float[Tensor, "batch steps action"] | None = None
    labelled: Bool[Tensor, " batch"] | None = None
    instructions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Encoded:
    """Latents of the steps between the frames.

    codes, unquantised: where the space is discrete, the codes and what they were chosen for.
    """

    values: Float[Tensor, "batch steps tokens dim"]
    codes: Int64[Tensor, "batch steps tokens"] | None = None
    unquantised: Float[Tensor, "batch steps tokens dim"] | None = None


def adjacent(
    x: Shaped[Tensor, "batch time ..."],
) -> tuple[Shaped[Tensor, "pairs ..."], Shaped[Tensor, "pairs ..."]]:
    """Every frame but the last and the one after it, clip by clip."""
    return x[:, :-1].flatten(0, 1), x[:, 1:].flatten(0, 1)


@runtime_checkable
class Trainable(Protocol):
    """A module that turns a batch into the loss and the values worth logging, by name."""

    def loss(self, batch: ClipBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]: ...


@runtime_checkable
class Labeler(Protocol):
    """Clip to latents of the space `spec()`."""

    def spec(self) -> LatentSpec: ...

    def encode(self, clips: ClipBatch) -> Encoded: ...


@runtime_checkable
class Decoder(Protocol):
    """A latent of the space `spec()` and a state, to what follows.

    Of a video system the state is the frames up to and with the present one, `[batch time *frame]`
    (most read the last one only), and the output is the next frame, as pixels or as a `Seer` sees
    it; of a hand system they are robot state and joints.
    """

    def spec(self) -> LatentSpec: ...

    def decode(
        self, values: Float[Tensor, "batch tokens dim"], state: Float[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]: ...


@runtime_checkable
class Seer(Protocol):
    """A video system that predicts features of a frame instead of its pixels."""

    def see(self, frames: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]: ...


@runtime_checkable
class LatentPolicy(Protocol):
    """What a camera robot runs: an observation with its instruction, to a chunk of actions."""

    def act(self, observation: Observation) -> ActionChunk: ...
