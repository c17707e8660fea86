"""DexLatent: one latent of many hands without a single pair of poses.

The hand coder of XL-VLA, https://arxiv.org/abs/2603.10158. Every hand is a small variational
autoencoder over random joint vectors of its own. What makes their latents one space are fingertips
alone: whatever hand decodes a latent, its thumb-to-finger vectors are to be as long as those of the
hand that encoded it, and to lie the same way, near pinches counting most. Half of every batch are
pinches.

Numbers are those of the released code as it is known to us: weights, widths, rate, batch, steps,
and no KL term. It stands here to be compared with lad.py, which learns from pairs.

Departures. Each pose is decoded by every hand from one other hand's latent, drawn anew at each
step, in place of all of them: the same loss in expectation at a tenth of the kinematics. The human
hand is a hand like the others, read and given back as points. A gripper has one finger, whose
direction its build decides: it is held to the distance only. "Direction" is one less the cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from lam_models.hands.human import FINGERS, POINTS, TIPS
from lam_models.hands.kinematics import Kinematics
from lam_models.hands.space import Modality
from lam_models.systems.fingertips import fingertips

OTHERS = FINGERS[1:]
_HUMAN_TIPS = torch.from_numpy(TIPS) - 1  # Among the points after the wrist.


@dataclass(frozen=True)
class Config:
    """distance_weight: of squared metres. falloff_per_m: pinches' weight is exp(-falloff gap)."""

    latent_dim: int = 32
    widths: tuple[int, ...] = (64, 128, 64)
    distance_weight: float = 2000.0
    direction_weight: float = 5.0
    falloff_per_m: float = 12.0
    kl_weight: float = 0.0
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    batch_size: int = 1024
    steps: int = 1000

    @classmethod
    def tiny(cls) -> Config:
        return cls(latent_dim=8, widths=(32, 32), batch_size=64, steps=60)


@dataclass(frozen=True)
class UnpairedBatch:
    """Poses of each hand by itself: rows of different hands have nothing to do with each other.

    vectors: side by side in the order of the model's modalities.
    gaps: from the thumb's tip to those of OTHERS, m; anything where a hand lacks the finger.
    """

    vectors: Float[Tensor, "poses entries"]
    gaps: Float[Tensor, "poses hands 4 3"]


@dataclass(frozen=True)
class Body:
    """One hand of the model: its vector, its normalisation, its kinematics (None: human)."""

    modality: Modality
    center: Float[Tensor, " size"]
    scale: Float[Tensor, " size"]
    kinematics: Kinematics | None

    @property
    def fingers(self) -> tuple[bool, ...]:
        """Which of OTHERS it has."""
        if self.kinematics is None:
            return (True,) * len(OTHERS)
        return tuple(name in self.kinematics.spec.tips for name in OTHERS)

    def gaps(self, vectors: Float[Tensor, "poses size"]) -> Float[Tensor, "poses 4 3"]:
        """From the thumb's tip to those of OTHERS, m; zero where there is none."""
        if self.kinematics is None:
            tips = vectors.view(len(vectors), len(POINTS) - 1, 3)[:, _HUMAN_TIPS]
            return tips[:, 1:] - tips[:, :1]
        tips, names = fingertips(self.kinematics, vectors), self.kinematics.spec.tips
        thumb = tips[:, names.index("thumb")]
        nothing = torch.zeros_like(thumb)
        gaps = [tips[:, names.index(n)] - thumb if n in names else nothing for n in OTHERS]
        return torch.stack(gaps, dim=1)


class DexLatent(nn.Module):
    """The autoencoders, by hand."""

    fingers: Tensor

    def __init__(self, config: Config, bodies: Sequence[Body]) -> None:
        super().__init__()
        self.config, self.bodies = config, tuple(bodies)
        self.names = tuple(body.modality.name for body in bodies)
        self.sizes = tuple(len(body.modality.entries) for body in bodies)
        self.register_buffer("fingers", torch.tensor([body.fingers for body in bodies]))
        dim, widths = config.latent_dim, config.widths
        sized = list(zip(self.names, self.sizes, strict=True))
        self.encoders = nn.ModuleDict({n: _network(size, widths, 2 * dim) for n, size in sized})
        self.decoders = nn.ModuleDict({n: _network(dim, widths, size) for n, size in sized})

    def encode(
        self, hand: int, vectors: Float[Tensor, "poses size"]
    ) -> tuple[Float[Tensor, "poses dim"], Float[Tensor, "poses dim"]]:
        """Mean and log variance of one hand's latents."""
        body = self.bodies[hand]
        mean, spread = self.encoders[self.names[hand]](_normal(body, vectors)).chunk(2, dim=-1)
        return mean, spread.clamp(-12.0, 4.0)

    def decode(self, hand: int, latents: Float[Tensor, "poses dim"]) -> Float[Tensor, "poses size"]:
        """One hand's vectors, not limited."""
        body = self.bodies[hand]
        return self.decoders[self.names[hand]](latents) * body.scale + body.center

    def loss(self, batch: UnpairedBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        parts = batch.vectors.split(self.sizes, dim=1)
        coded = [self.encode(hand, part) for hand, part in enumerate(parts)]
        mean, spread = (torch.stack(of) for of in zip(*coded, strict=True))
        noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        latents = mean + noise * torch.exp(0.5 * spread)
        own, distance, direction = [], [], []
        for hand, (body, part) in enumerate(zip(self.bodies, parts, strict=True)):
            given_back = _normal(body, self.decode(hand, latents[hand]))
            own.append(functional.mse_loss(given_back, _normal(body, part)))
            away, turned = self._pinches(hand, latents, batch.gaps)
            distance.append(away)
            direction.append(turned)
        kl = 0.5 * (mean.square() + spread.exp() - 1.0 - spread).sum(-1).mean()
        terms = [torch.stack(of).mean() for of in (own, distance, direction)]
        c = self.config
        weights = (1.0, c.distance_weight, c.direction_weight)
        total = sum((w * t for w, t in zip(weights, terms, strict=True)), c.kl_weight * kl)
        names = ("own", "distance_m2", "direction")
        return total, dict(zip(names, terms, strict=True)) | {"kl": kl}

    def _pinches(
        self,
        target: int,
        latents: Float[Tensor, "hands poses dim"],
        gaps: Float[Tensor, "poses hands 4 3"],
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Distance and direction of one hand's pinches, decoded from another's latents."""
        hands, poses, _ = latents.shape
        rows = torch.arange(poses, device=latents.device)
        step = torch.randint(1, hands, (poses,), device=latents.device)
        source = (target + step) % hands
        found = self.bodies[target].gaps(self.decode(target, latents[source, rows]))
        wanted = gaps[rows, source]
        both = self.fingers[source] & self.fingers[target]
        return pinch_terms(found, wanted, both, self.config.falloff_per_m)


def pinch_terms(
    found: Float[Tensor, "poses 4 3"],
    wanted: Float[Tensor, "poses 4 3"],
    both: Bool[Tensor, "poses 4"],
    falloff_per_m: float,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Squared difference of lengths [m2] and one less the cosine, pinches weighing most.

    both: which fingers both hands have. Directions count where a hand has more than one of them.
    """
    # Of two tips at one place the length has no gradient: a tenth of a millimetre is nothing here.
    lengths, goals = (torch.sqrt(of.square().sum(-1) + 1e-8) for of in (found, wanted))
    weight = torch.exp(-falloff_per_m * goals) * both
    away = (weight * (lengths - goals).square()).sum() / both.sum().clamp(min=1)
    many = both & (both.sum(1, keepdim=True) > 1)
    cosine = (found * wanted).sum(-1) / (lengths * goals)
    turned = (weight * many * (1.0 - cosine)).sum() / many.sum().clamp(min=1)
    return away, turned


def _normal(body: Body, vectors: Float[Tensor, "poses size"]) -> Float[Tensor, "poses size"]:
    return (vectors - body.center) / body.scale


def _network(size: int, widths: Sequence[int], out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in zip((size, *widths), widths, strict=False):
        layers += [nn.Linear(before, after), nn.LayerNorm(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], out))
