"""The controllable world in which the linear latent-action model can be solved on paper.

    o' = o + E a + disturbance,    disturbance = ε + σ F b,    a = (1 - χ) η + χ Π o

with o, η, b white, E and F random orthonormal columns, Π random orthonormal rows. ε is noise of
every observation channel, b what other agents do, χ the share of the action that a policy derives
from the observation.

Everything is linear in independent white sources, so the world offers, besides samples, a finite
set of sigma points whose mean and covariance are exactly the population's: a linear model fitted
or probed on them gives the population's value, free of sampling error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from lam_models.systems.roles import ClipBatch


@dataclass(frozen=True)
class Transitions:
    """Steps of the world, and what a probe may look for in a latent.

    exogenous: the sources of the disturbance, ε and b side by side (no columns without any).
    disturbance: their joint effect on the next observation.
    """

    observation: Float[Tensor, "n observation"]
    next_observation: Float[Tensor, "n observation"]
    action: Float[Tensor, "n action"]
    exogenous: Float[Tensor, "n exogenous"]
    disturbance: Float[Tensor, "n observation"]

    def undisturbed(self) -> Transitions:
        """The same actions in the same places, had nothing else happened."""
        return replace(self, next_observation=self.next_observation - self.disturbance)

    def clips(self, labelled: Tensor | None = None) -> ClipBatch:
        """As clips of two frames."""
        frames = torch.stack([self.observation, self.next_observation], dim=1)
        return ClipBatch(frames, self.action[:, None], labelled)


@dataclass(frozen=True)
class LinearWorld:
    """noise_mean: of every channel of ε; the authors' augmentation experiment draws ε uniformly
    from [0, σ), which a linear model cannot tell from mean σ/2 and deviation σ/√12."""

    observation_dim: int = 128
    action_dim: int = 8
    noise_std: float = 0.0
    noise_mean: float = 0.0
    others_dim: int = 0
    others_std: float = 0.0
    policy_share: float = 0.0
    seed: int = 0

    @cached_property
    def maps(self) -> tuple[Tensor, Tensor, Tensor]:
        """E, F and Π, in this order."""
        generator = torch.Generator().manual_seed(self.seed)
        shapes = (self.action_dim, self.others_dim, self.action_dim)
        draws = [
            torch.randn(self.observation_dim, n, generator=generator, dtype=torch.float64)
            for n in shapes
        ]
        effect, others, policy = (torch.linalg.qr(draw).Q for draw in draws)
        return effect, others, policy.T

    @property
    def source_sizes(self) -> list[int]:
        """Numbers of white sources: o, η, ε, b."""
        noise = self.observation_dim if self.noise_std > 0 else 0
        return [self.observation_dim, self.action_dim, noise, self.others_dim]

    def sample(self, n: int, generator: torch.Generator) -> Transitions:
        """`n` independent steps, single precision."""
        return self._respond(torch.randn(n, sum(self.source_sizes), generator=generator))

    def sigma_points(self) -> Transitions:
        """±√S along each of the S sources: the population's moments, double precision."""
        count = sum(self.source_sizes)
        along = torch.eye(count, dtype=torch.float64) * count**0.5
        return self._respond(torch.cat([along, -along]))

    def batches(
        self, size: int, steps: int, seed: int, label_share: float = 0.0
    ) -> Iterator[ClipBatch]:
        """Fresh samples for each step; each row is labelled with chance `label_share`."""
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            steps_taken = self.sample(size, generator)
            yield steps_taken.clips(torch.rand(size, generator=generator) < label_share)

    def _respond(self, sources: Tensor) -> Transitions:
        effect, others, policy = (part.to(sources.dtype) for part in self.maps)
        o, drive, noise, agents = sources.split(self.source_sizes, dim=1)
        action = (1 - self.policy_share) * drive
        if self.policy_share > 0:
            action = action + self.policy_share * o @ policy.T
        noise = self.noise_mean + self.noise_std * noise
        disturbance = self.others_std * agents @ others.T
        if noise.shape[1]:
            disturbance = disturbance + noise
        exogenous = torch.cat([noise, agents], dim=1)
        return Transitions(o, o + action @ effect.T + disturbance, action, exogenous, disturbance)
