"""The linear latent-action model: what a latent-action model learns, where it can be solved.

Zhang et al., "What Do Latent Action Models Actually Learn?", NeurIPS 2025,
https://arxiv.org/abs/2506.15691. With every map linear,

    z = C o + D o'        inverse dynamics: the latent
    ô' = A o + B z        forward dynamics, trained on |ô' - o'|²

the model is a principal component analysis of the change the observation does not explain:
the latent holds whatever varies most, be it the action, noise or another agent's move. Two remedies
are analysed. Augmentation moves o and o' together by κ₁ in the encoder and by κ₂ in the decoder,
z = C(o + κ₁) + D(o' + κ₁) and ô' = A(o + κ₂) + B z - κ₂, which drives D to -C and the observation
out of the latent. A few action labels, |â(z) - a|², turn the latent from what varies most to the
action.

Departures. A frame of any shape is taken as one vector, and each adjacent pair of a longer clip as
a transition, so that the same file serves vectors and small images. `closed_form` goes beyond the
paper's analysis by including the labels (a reduced-rank regression).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isqrt
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lam_models.command import UserError
from lam_models.nn.fingerprint import weights_hash
from lam_models.systems.roles import ClipBatch, Encoded, adjacent
from lam_models.types import LatentSpec

# What a linear probe is given, and so the ceiling of the learning objective (d = d_z / d_o):
#   tied           z of a tied or augmented model, which holds no observation      2
#   raw            z of a free model, which may hold any linear function of o      about 1
#   pseudo_action  the predicted change ô' - o for the action, z for the rest      2 - d
#   pseudo_latent  the predicted change for everything (the authors' default)      2
Convention = Literal["tied", "raw", "pseudo_action", "pseudo_latent"]


@dataclass(frozen=True)
class Config:
    """The paper's numbers, with the augmentation and label weight of its last experiment.

    tied: D = -C by construction, the other way to keep the observation out of the latent.
    augmentation_std: of κ₁ and κ₂, per entry; 0 leaves the latent free to hold the observation.
    gap_s: time between the frames of a pair.
    """

    observation_dim: int = 128
    latent_dim: int = 8
    action_dim: int = 8
    tied: bool = False
    augmentation_std: float = 0.1
    action_weight: float = 1.0
    learning_rate: float = 1e-3
    batch_size: int = 128
    steps: int = 40_000
    gap_s: float = 1.0

    frames: ClassVar[int] = 2
    history: ClassVar[int] = 0

    @property
    def image_size(self) -> int:
        """Pixels of a side where the vectors are square RGB images."""
        side = isqrt(self.observation_dim // 3)
        if 3 * side**2 != self.observation_dim:
            raise UserError(f"{self.observation_dim} numbers are not a square RGB image")
        return side

    @classmethod
    def tiny(cls) -> Config:
        return cls(observation_dim=16, latent_dim=2, action_dim=2, batch_size=64, steps=2_000)

    @classmethod
    def small(cls) -> Config:
        """For images of 16 x 16 pixels."""
        return cls(observation_dim=3 * 16**2, latent_dim=16, gap_s=0.25, steps=5_000)


class LinearLam(nn.Module):
    """A, B, C and D as in the module's head, and the linear read-out â(z) for labels."""

    Config = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        o, z = config.observation_dim, config.latent_dim
        self.A = nn.Linear(o, o, bias=False)
        self.B = nn.Linear(z, o, bias=False)
        self.C = nn.Linear(o, z, bias=False)
        self.D = None if config.tied else nn.Linear(o, z, bias=False)
        self.action_head = nn.Linear(z, config.action_dim)

    def infer(
        self, o: Float[Tensor, "n observation"], o_next: Float[Tensor, "n observation"]
    ) -> Float[Tensor, "n latent"]:
        """z = C o + D o'."""
        return self.C(o - o_next) if self.D is None else self.C(o) + self.D(o_next)

    def predict(
        self, o: Float[Tensor, "n observation"], z: Float[Tensor, "n latent"]
    ) -> Float[Tensor, "n observation"]:
        """ô' = A o + B z."""
        return self.A(o) + self.B(z)

    def loss(self, batch: ClipBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Reconstruction, augmented in training only, plus the error on the labelled actions."""
        o, o_next = transitions(batch)
        in_encoder, in_decoder = self._shift(o), self._shift(o)
        z = self.infer(o + in_encoder, o_next + in_encoder)
        reconstruction = functional.mse_loss(self.predict(o + in_decoder, z) - in_decoder, o_next)
        action = self._action_error(z, batch)
        loss = reconstruction + self.config.action_weight * action
        return loss, {"reconstruction": reconstruction.detach(), "action": action.detach()}

    def encode(self, clips: ClipBatch) -> Encoded:
        """One token of `latent_dim` for each adjacent pair of frames."""
        z = self.infer(*transitions(clips))
        return Encoded(z.reshape(len(clips.frames), -1, 1, z.shape[-1]))

    def decode(
        self, values: Float[Tensor, "batch 1 dim"], state: Float[Tensor, "batch time *frame"]
    ) -> Float[Tensor, "batch ..."]:
        """The frame that follows the last of `state` by the latent's change."""
        present = state[:, -1]
        return self.predict(present.flatten(1), values[:, 0]).reshape(present.shape)

    def spec(self) -> LatentSpec:
        encoder = {k: v for k, v in self.state_dict().items() if k[0] in "CD"}
        return LatentSpec(
            name="linear",
            kind="motion",
            shape=(1, self.config.latent_dim),
            gap_s=self.config.gap_s,
            weights_hash=weights_hash(encoder),
        )

    def _shift(self, o: Tensor) -> Tensor:
        """κ, from torch's global generator."""
        if not self.training or self.config.augmentation_std == 0:
            return torch.zeros_like(o)
        return self.config.augmentation_std * torch.randn_like(o)

    def _action_error(self, z: Tensor, batch: ClipBatch) -> Tensor:
        """Mean squared error over the labelled rows; 0 without any."""
        if batch.actions is None:
            return z.new_zeros(())
        error = self.action_head(z) - batch.actions.flatten(0, 1)
        if batch.labelled is None:
            return error.square().mean()
        mask = batch.labelled.repeat_interleave(batch.actions.shape[1]).to(error.dtype)
        return (error.square().mean(1) * mask).sum() / mask.sum().clamp(min=1)


def transitions(
    batch: ClipBatch,
) -> tuple[Float[Tensor, "n observation"], Float[Tensor, "n observation"]]:
    """Every adjacent pair of frames, clip by clip, as flat vectors."""
    return adjacent(batch.frames.flatten(2))


def probe_inputs(
    model: LinearLam,
    o: Float[Tensor, "n observation"],
    o_next: Float[Tensor, "n observation"],
    convention: Convention,
) -> tuple[Float[Tensor, "n input"], Float[Tensor, "n other"]]:
    """What the probe of the action sees, and what those of observation and noise see."""
    z = model.infer(o, o_next)
    if convention == "tied" and not (model.config.tied or model.config.augmentation_std > 0):
        raise ValueError(
            "the convention 'tied' is for a model with tied=True or augmentation_std > 0; "
            "a free model is probed as 'raw', 'pseudo_action' or 'pseudo_latent'"
        )
    if convention in ("tied", "raw"):
        return z, z
    change = model.predict(o, z) - o
    return change, z if convention == "pseudo_action" else change


def descend(model: LinearLam, batches: Iterable[ClipBatch]) -> LinearLam:
    """The paper's training: Adam at a constant rate, one step a batch."""
    optimiser = torch.optim.Adam(model.parameters(), lr=model.config.learning_rate, fused=True)
    model.train()
    for batch in batches:
        loss, _ = model.loss(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model.eval()


@torch.no_grad()
def closed_form(config: Config, batch: ClipBatch, action_weight: float = 0.0) -> LinearLam:
    """The model that minimises the loss over `batch`, in double precision.

    W = Σ_o'o Σ_oo⁻¹ is what the observation explains, r = o' - W o the rest. The latent must
    rebuild y = (r, w a) from r, with w² = action_weight · d_o / d_a the weight of a label next to
    that of one entry of the observation: a reduced-rank regression, solved by the top eigenvectors
    V of the covariance of ŷ = G r, the least-squares estimate. Then z = Vᵀ G r. Without labels
    G = 1, and this is the PCA of r, on any batch. With labels it is exact where o tells nothing of
    a, under augmentation where W = 1: both hold in the paper's world with χ = 0, and there the
    optimum costs the augmentation nothing, for every κ.
    """
    o, o_next = (part.double() for part in transitions(batch))
    explained = torch.linalg.lstsq(o, o_next, driver="gelsd").solution
    rest = o_next - o @ explained
    target = rest
    weight = (action_weight * config.observation_dim / config.action_dim) ** 0.5
    if action_weight > 0:
        if batch.actions is None:
            raise ValueError("action_weight > 0 asks for a batch with actions")
        target = torch.cat([rest, weight * batch.actions.flatten(0, 1).double()], dim=1)
    estimate = torch.linalg.lstsq(rest, target, driver="gelsd").solution
    fitted = rest @ estimate
    values, vectors = torch.linalg.eigh(fitted.T @ fitted)
    top = vectors[:, values.argsort(descending=True)[: config.latent_dim]]

    model = LinearLam(config).double().eval()
    project = (estimate @ top).T
    rebuild, read_out = top.split([o.shape[1], target.shape[1] - o.shape[1]])
    model.B.weight.copy_(rebuild)
    if model.D is None:
        model.C.weight.copy_(-project)
        change = explained.T - torch.eye(len(rebuild), dtype=o.dtype)
        model.A.weight.copy_(explained.T - rebuild @ project @ change)
    else:
        model.C.weight.copy_(-project @ explained.T)
        model.D.weight.copy_(project)
        model.A.weight.copy_(explained.T)
    model.action_head.bias.zero_()
    if action_weight > 0:
        model.action_head.weight.copy_(read_out / weight)
    return model
