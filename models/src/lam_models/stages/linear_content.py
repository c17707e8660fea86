"""What the latent of a linear model holds in its world, by a named probe convention."""

from __future__ import annotations

import copy

import torch

from lam_models.stages.probes import LatentContent, fit_probe, nmse
from lam_models.systems.linear import Convention, LinearLam, probe_inputs
from lam_models.systems.linear_world import Transitions


@torch.no_grad()
def measure(
    model: LinearLam,
    fitted_on: Transitions,
    reported_on: Transitions,
    convention: Convention,
    ridge: float = 1e-6,
) -> LatentContent:
    """Probes of action, observation and exogenous sources, fitted and reported on what is given.

    Noise that does not exist counts as 1: it cannot be held.
    """
    model = copy.deepcopy(model).double()
    fit_action, fit_rest = _inputs(model, fitted_on, convention)
    action, rest = _inputs(model, reported_on, convention)

    def error(x_fit, x, name: str) -> float:
        probe = fit_probe(x_fit, getattr(fitted_on, name), ridge)
        return nmse(probe(x), getattr(reported_on, name))

    has_noise = fitted_on.exogenous.shape[1] > 0
    return LatentContent(
        action=error(fit_action, action, "action"),
        observation=error(fit_rest, rest, "observation"),
        exogenous=error(fit_rest, rest, "exogenous") if has_noise else 1.0,
    )


def _inputs(model: LinearLam, steps: Transitions, convention: Convention):
    o, o_next = steps.observation.double(), steps.next_observation.double()
    return probe_inputs(model, o, o_next, convention)
