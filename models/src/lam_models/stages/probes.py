"""Probes: what a latent holds, measured by what can be read from it.

Linearly (`fit_probe`), or by a small network (`fit_mlp`).

An error is normalised by the variance of its target (NMSE = 1 - R²): 0 reads the target perfectly,
1 no better than its mean. Fit on some data, report on other data; on the sigma points of a linear
world both may be the same, for they are the population.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

# What `choose_ridge` chooses from, relative to the mean variance of the inputs.
RIDGES = (1e-6, 1e-4, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True)
class LinearProbe:
    """target ≈ input @ weight + bias."""

    weight: Float[Tensor, "input target"]
    bias: Float[Tensor, " target"]

    def __call__(self, inputs: Float[Tensor, "n input"]) -> Float[Tensor, "n target"]:
        return inputs.double() @ self.weight + self.bias


def fit_probe(
    inputs: Float[Tensor, "n input"], targets: Float[Tensor, "n target"], ridge: float = 1e-6
) -> LinearProbe:
    """Least squares with a bias, in double precision.

    ridge: relative to the mean variance of the inputs. It decides below which share of the latent's
    power a trace of the target no longer counts as held by it.
    """
    x, y = inputs.double(), targets.double()
    mean_x, mean_y = x.mean(0), y.mean(0)
    x, y = x - mean_x, y - mean_y
    moments = x.T @ x / len(x)
    floor = (ridge * moments.diagonal().mean()).clamp(min=torch.finfo(x.dtype).tiny)
    damped = moments + floor * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    weight = torch.linalg.solve(damped, x.T @ y / len(x))
    return LinearProbe(weight, mean_y - mean_x @ weight)


def nmse(predicted: Float[Tensor, "n target"], targets: Float[Tensor, "n target"]) -> float:
    """E‖predicted - target‖² / Σ_d Var(target_d). A constant target has none: an error."""
    targets = targets.double()
    variance = targets.var(0, correction=0).sum()
    if variance == 0:
        raise ValueError("the target of a probe is constant: its normalised error is undefined")
    return ((predicted.double() - targets).square().sum(1).mean() / variance).item()


@dataclass(frozen=True)
class LatentContent:
    """NMSE of reading from a latent the action, the observation and what else happened."""

    action: float
    observation: float
    exogenous: float = 1.0

    @property
    def objective(self) -> float:
        """The linear paper's learning objective (LLO): at best 2, the action and nothing else."""
        return -self.action + self.observation + self.exogenous


def choose_ridge(
    inputs: Float[Tensor, "n input"],
    targets: Float[Tensor, "n target"],
    held_out: Bool[Tensor, " n"],
) -> float:
    """The ridge of RIDGES whose probe, fitted on the other rows, errs least on the held-out ones.

    With more inputs than rows a small one fits the noise; a large one hides what is there.
    """

    def error(ridge: float) -> float:
        probe = fit_probe(inputs[~held_out], targets[~held_out], ridge)
        return (probe(inputs[held_out]) - targets[held_out].double()).square().mean().item()

    return min(RIDGES, key=error)


@dataclass(frozen=True)
class MlpProbe:
    """target ≈ network(standardised input), for what is held but not linearly."""

    network: nn.Module
    mean: Float[Tensor, " input"]
    scale: Float[Tensor, " input"]

    @torch.no_grad()
    def __call__(self, inputs: Float[Tensor, "n input"]) -> Float[Tensor, "n target"]:
        return self.network((inputs.float() - self.mean) / self.scale)


def fit_mlp(
    inputs: Float[Tensor, "n input"],
    targets: Float[Tensor, "n target"],
    held_out: Bool[Tensor, " n"],
    seed: int = 0,
    *,
    width: int = 128,
    steps: int = 400,
) -> MlpProbe:
    """Two hidden layers, trained by Adam, as they were when the held-out rows were read best.

    targets: of about unit variance. The global random state is left as it was.
    """
    x, y = inputs.float(), targets.float()
    mean, scale = x.mean(0), x.std(0, correction=0)
    # An input that never moves stays 0 instead of being blown up from rounding.
    scale = torch.where(scale > 1e-4 * scale.max(), scale, torch.inf)
    x = (x - mean) / scale
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        sizes = (x.shape[1], width, width, y.shape[1])
        layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
        network = nn.Sequential(layers[0], nn.GELU(), layers[1], nn.GELU(), layers[2])
    with torch.no_grad():
        layers[2].weight.zero_()
        layers[2].bias.copy_(y.mean(0))
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    best, kept = float("inf"), copy.deepcopy(network)
    for step in range(steps):
        if step % 10 == 0:
            with torch.no_grad():
                error = functional.mse_loss(network(x[held_out]), y[held_out]).item()
            if error < best:
                best, kept = error, copy.deepcopy(network)
        optimiser.zero_grad()
        functional.mse_loss(network(x[~held_out]), y[~held_out]).backward()
        optimiser.step()
    return MlpProbe(kept, mean, scale)
