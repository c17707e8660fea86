"""A sampler of one step, taught by the sampler of many.

Both start from the same noise: DDIM is a function of the noise and the condition, and a student
regresses its result (Luhman & Luhman 2021, arXiv 2101.02388). It needs no actions, so that any
observation will do. Each answer is met on its own, for the noise tells which one is due; where
neighbouring noise leads to different answers the student gives something in between.

A student is a `Diffusion` as any other, read in one step.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator
from torch.nn import functional

from lam_models.policy.diffusion import Diffusion
from lam_models.policy.readouts import Condition, Loss, draw_noise, errors


def student_of(teacher: Diffusion) -> Diffusion:
    """A copy that samples in one step, to be trained with `distil_loss`."""
    student = Diffusion(replace(teacher.config, sampling_steps=1))
    student.load_state_dict(teacher.state_dict())
    return student.to(next(teacher.parameters()).device)


def distil_loss(
    student: Diffusion,
    teacher: Diffusion,
    condition: Condition,
    steps: int | None = None,
    generator: Generator | None = None,
) -> Loss:
    """Squared error to what the teacher makes of the same noise in `steps` steps."""
    noise = draw_noise(teacher, condition, generator)
    with torch.no_grad():
        wanted = teacher.denoise(condition, noise, steps)
    found = student.denoise(condition, noise, 1)
    return functional.mse_loss(found, wanted), errors(found, wanted)
