"""Fingertips that gradients flow through, of any hand whose kinematics are known in NumPy."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lam_models.hands.kinematics import Kinematics


def fingertips(
    kinematics: Kinematics, q: Float[Tensor, "*poses actuated"]
) -> Float[Tensor, "*poses tips 3"]:
    """Fingertips [m] in the palm frame of actuated joints [rad or m], on q's device, in its
    precision; kinematics are worked out in doubles on the CPU."""
    return _Fingertips.apply(q, kinematics)


class _Fingertips(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, kinematics: Kinematics) -> Tensor:
        ctx.kinematics = kinematics
        ctx.save_for_backward(q)
        return torch.from_numpy(kinematics.tips(_doubles(q))).to(q)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (q,), (by_tips,) = ctx.saved_tensors, grads
        slopes = torch.from_numpy(ctx.kinematics.jacobian(_doubles(q))).to(q)
        return torch.einsum("...tx,...txj->...j", by_tips, slopes), None


def _doubles(q: Tensor) -> Any:
    return q.detach().cpu().double().numpy()
