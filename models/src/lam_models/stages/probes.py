"""Linear probes: what a latent holds, measured by what can be read from it linearly.

An error is normalised by the variance of its target (NMSE = 1 - R²): 0 reads the target perfectly,
1 no better than its mean. Fit on some data, report on other data; on the sigma points of a linear
world both may be the same, for they are the population.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


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
