"""LAD: one latent space of many hands, learned from pairs of poses.

Bauer, Nava, Katzschmann, "Latent Action Diffusion for Cross-Embodiment Manipulation", 2025,
https://arxiv.org/abs/2506.14608. Every hand has an encoder into one space and a decoder out of it.
Stage 2 (`Alignment`) pulls encoders together: what different hands do at the same moment is to be
nearer, by cosine, than what they do at any other, over every pair of hands (InfoNCE), at a
temperature that falls while they learn. Stage 3 (`Coding`) trains the decoders to give back each
hand's own pose, the encoders going on slowly. What it is judged by is cross-reconstruction: encode
one hand, decode another, and compare with the pose that the other had.

The paper's sizes, temperatures and weights are not published: those of `Config` are ours.

Departures. The error of a decoded pose is measured at its fingertips (hands/pairs.py) and not by
joint. The recipe "cross", our default, also trains decoders on the latents of other hands at the
same moment, which the paper keeps for validation; "lad" is without. The human hand is read from its
points and given back as points.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from lam_models.hands.human import FINGERS, POINTS, TIPS
from lam_models.hands.pairs import PINCH_M, PINCH_WEIGHT, UNIT_M
from lam_models.hands.space import HUMAN, Modality
from lam_models.nn.heads import mlp

_TIP_ROWS = torch.from_numpy(TIPS) - 1  # Among the points after the wrist.


@dataclass(frozen=True)
class Config:
    """Ours throughout.

    temperature: of the cosine similarities at the beginning and at the end of stage 2; stage 3
        keeps the last.
    encoder_share: learning rate of the encoders in stage 3, as a share of the decoders'.
    contrast_weight: of InfoNCE in stage 3, where the errors of poses are in squared centimetres.
    pairs_per_step: of hands, drawn for InfoNCE at each step; 0 for all.
    cross_weight: of decoding what another hand encoded; the paper's is 0.
    point_noise_m, size_noise: of the human points while training, for trackers and people differ.
    """

    latent_dim: int = 32
    encoder_width: int = 128
    decoder_width: int = 256
    temperature: tuple[float, float] = (0.5, 0.07)
    encoder_share: float = 0.1
    contrast_weight: float = 0.3
    pairs_per_step: int = 10
    cross_weight: float = 0.0
    point_noise_m: float = 0.001
    size_noise: float = 0.02
    learning_rate: float = 3e-3
    batch_size: int = 256
    align_steps: int = 1000
    steps: int = 3000
    warmup_steps: int = 100
    final_rate: float = 0.02
    gradient_clip: float = 5.0

    @classmethod
    def tiny(cls) -> Config:
        return cls(encoder_width=32, decoder_width=32, batch_size=64, align_steps=60, steps=120)


RECIPES: Mapping[str, Config] = {
    "cross": Config(cross_weight=1.0),
    "lad": Config(),
    "lad_constant_temperature": Config(temperature=(0.07, 0.07)),
    "lad_fixed_encoders": Config(encoder_share=0.0),
    "tiny": replace(Config.tiny(), cross_weight=1.0),
}


@dataclass(frozen=True)
class PoseBatch:
    """Moments, the vectors of all hands side by side in the order of the model's modalities.

    closeness: the matrices of hands.pairs, flattened, side by side in the same order.
    sources: whose latent each hand is to decode as well, by number: another hand's.
    """

    vectors: Float[Tensor, "poses entries"]
    closeness: Float[Tensor, "poses squares"]
    sources: Int64[Tensor, "poses hands"]


class Lad(nn.Module):
    """The encoders and decoders, by hand."""

    center: Tensor
    scale: Tensor

    def __init__(
        self,
        config: Config,
        modalities: Sequence[Modality],
        center: Float[Tensor, " entries"],
        scale: Float[Tensor, " entries"],
    ) -> None:
        super().__init__()
        self.config, self.modalities = config, tuple(modalities)
        self.sizes = tuple(len(modality.entries) for modality in modalities)
        self.names = tuple(modality.name for modality in modalities)
        self.register_buffer("center", center)
        self.register_buffer("scale", scale)
        c, dim = config, config.latent_dim
        self.encoders = nn.ModuleDict(
            {
                name: mlp(size, (c.encoder_width, c.encoder_width), dim)
                for name, size in zip(self.names, self.sizes, strict=True)
            }
        )
        self.decoders = nn.ModuleDict(
            {
                name: mlp(dim, (c.decoder_width, c.decoder_width), size)
                for name, size in zip(self.names, self.sizes, strict=True)
            }
        )

    def encode(self, vectors: Float[Tensor, "poses entries"]) -> Float[Tensor, "hands poses dim"]:
        """Unit latents of every hand."""
        parts = ((vectors - self.center) / self.scale).split(self.sizes, dim=1)
        latents = [self.encoders[n](part) for n, part in zip(self.names, parts, strict=True)]
        return functional.normalize(torch.stack(latents), dim=-1)

    def decode(
        self, latents: Float[Tensor, "hands poses dim"]
    ) -> tuple[Float[Tensor, "poses size"], ...]:
        """Each hand's vectors of its own row of latents, not limited yet."""
        centers, scales = self.center.split(self.sizes), self.scale.split(self.sizes)
        return tuple(
            self.decoders[name](latents[index]) * scales[index] + centers[index]
            for index, name in enumerate(self.names)
        )


def contrast(
    latents: Float[Tensor, "hands poses dim"],
    temperature: Float[Tensor, ""],
    most_pairs: int = 0,
) -> Float[Tensor, ""]:
    """InfoNCE, the mean over pairs of hands and both directions.

    most_pairs: as many pairs of hands at most, drawn anew; 0 for all of them.
    """
    pairs = torch.combinations(torch.arange(len(latents), device=latents.device))
    if 0 < most_pairs < len(pairs):
        pairs = pairs[torch.randperm(len(pairs), device=latents.device)[:most_pairs]]
    logits = latents[pairs[:, 0]] @ latents[pairs[:, 1]].mT / temperature
    same = logits.diagonal(dim1=1, dim2=2).mean()
    return (logits.logsumexp(1).mean() + logits.logsumexp(2).mean()) / 2.0 - same


class Alignment(nn.Module):
    """Stage 2: the encoders alone."""

    step: Tensor

    def __init__(self, lad: Lad) -> None:
        super().__init__()
        self.lad = lad
        lad.decoders.requires_grad_(False)
        self.register_buffer("step", torch.zeros(()))

    def loss(self, batch: PoseBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        config = self.lad.config
        if self.training:
            self.step += 1
        latents = self.lad.encode(_seen(batch.vectors, self.lad, self.training))
        temperature = annealed(config.temperature, self.step / config.align_steps)
        loss = contrast(latents, temperature, config.pairs_per_step)
        return loss, {"temperature": temperature, "similarity": _similarity(latents)}


def annealed(temperature: tuple[float, float], passed: Float[Tensor, ""]) -> Float[Tensor, ""]:
    """From the first to the second as `passed` goes from 0 to 1, by equal factors."""
    first, last = (math.log(value) for value in temperature)
    return torch.exp(first + (last - first) * passed.clamp(0.0, 1.0))


def _similarity(latents: Float[Tensor, "hands poses dim"]) -> Float[Tensor, ""]:
    """Mean cosine of the same moment on different hands."""
    hands = latents.shape[0]
    total = latents.sum(0).square().sum(-1).mean()
    return (total - hands) / (hands * (hands - 1))


class Coding(nn.Module):
    """Stage 3: the decoders, with the encoders following slowly."""

    def __init__(self, lad: Lad) -> None:
        super().__init__()
        self.lad = lad
        lad.decoders.requires_grad_(True)
        lad.encoders.requires_grad_(lad.config.encoder_share > 0.0)

    def rate_share(self, parameter: str) -> float:
        """Share of the learning rate that a parameter learns at."""
        return self.lad.config.encoder_share if ".encoders." in f".{parameter}" else 1.0

    def loss(self, batch: PoseBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        lad, config = self.lad, self.lad.config
        latents = lad.encode(_seen(batch.vectors, lad, self.training))
        own = pose_error(lad, latents, batch)
        rows = torch.arange(latents.shape[1], device=latents.device)
        loss, logged = own, {"own_cm2": own}
        if config.cross_weight > 0.0:
            cross = pose_error(lad, latents[batch.sources.T, rows], batch)
            loss, logged = loss + config.cross_weight * cross, logged | {"cross_cm2": cross}
        if config.encoder_share > 0.0:
            end = latents.new_tensor(config.temperature[1])
            aligned = contrast(latents, end, config.pairs_per_step)
            loss, logged = loss + config.contrast_weight * aligned, logged | {"contrast": aligned}
        return loss, logged


def pose_error(
    lad: Lad, latents: Float[Tensor, "hands poses dim"], batch: PoseBatch
) -> Float[Tensor, ""]:
    """Mean squared error of the fingertips, in squares of UNIT_M, over hands decoded from each
    its own latents."""
    errors, at = [], 0
    targets = batch.vectors.split(lad.sizes, dim=1)
    for name, vector, target in zip(lad.names, lad.decode(latents), targets, strict=True):
        if name == HUMAN:
            errors.append(human_error(vector, target))
            continue
        size = vector.shape[1]
        matrix = batch.closeness[:, at : at + size * size].view(-1, size, size)
        at += size * size
        away = (vector - target)[:, None]
        errors.append((away @ matrix @ away.mT).mean())
    return torch.stack(errors).mean()


def human_error(
    points: Float[Tensor, "poses 60"], target: Float[Tensor, "poses 60"]
) -> Float[Tensor, ""]:
    """The same error for the human hand, over all its points, pinches weighing as they do there."""
    found, true = (p.view(-1, len(POINTS) - 1, 3) for p in (points, target))
    away = (found - true).square().sum(-1).mean()
    tips, true_tips = found[:, _TIP_ROWS], true[:, _TIP_ROWS]
    apart, true_apart = (t[:, 1:] - t[:, :1] for t in (tips, true_tips))
    weights = PINCH_WEIGHT * torch.exp(-true_apart.norm(dim=-1) / PINCH_M)
    pinch = (weights * (apart - true_apart).square().sum(-1)).sum(-1).mean() / (len(FINGERS) - 1)
    return (away + pinch) / UNIT_M**2


@dataclass(frozen=True)
class JoiningBatch(PoseBatch):
    """latents: of the space's own hands at the same moments, whose numbers `sources` are."""

    latents: Float[Tensor, "poses others dim"]


class Joining(nn.Module):
    """A hand that comes later: the space stays, its one encoder and decoder learn to speak it."""

    def __init__(self, lad: Lad) -> None:
        super().__init__()
        self.lad = lad

    def loss(self, batch: JoiningBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        lad, config = self.lad, self.lad.config
        own = lad.encode(batch.vectors)
        theirs = batch.latents.transpose(0, 1)
        end = own.new_tensor(config.temperature[1])
        aligned = torch.stack([contrast(torch.stack([own[0], t]), end) for t in theirs]).mean()
        rows = torch.arange(own.shape[1], device=own.device)
        others = theirs[batch.sources.T, rows]
        errors = pose_error(lad, own, batch), pose_error(lad, others, batch)
        loss = errors[0] + errors[1] + config.contrast_weight * aligned
        return loss, {"own_cm2": errors[0], "cross_cm2": errors[1], "contrast": aligned}


def _seen(
    vectors: Float[Tensor, "poses entries"], lad: Lad, training: bool
) -> Float[Tensor, "poses entries"]:
    """The vectors as encoders see them: in training, human points with noise and a wrong size."""
    config = lad.config
    if not training or HUMAN not in lad.names:
        return vectors
    parts = list(vectors.split(lad.sizes, dim=1))
    at = lad.names.index(HUMAN)
    points = parts[at]
    size = 1.0 + config.size_noise * torch.randn(len(points), 1, device=points.device)
    parts[at] = points * size + config.point_noise_m * torch.randn_like(points)
    return torch.cat(parts, dim=1)
