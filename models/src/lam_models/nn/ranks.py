"""Agreement between the processes of a distributed run; the identity where there is only one.

Codebooks that change outside the optimiser must change alike everywhere, or the replicas part.
"""

from __future__ import annotations

import torch.distributed as dist
from torch import Tensor


def _running() -> bool:
    return dist.is_available() and dist.is_initialized()


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """The sum over all processes, in place."""
    if _running():
        dist.all_reduce(tensor)
    return tensor


def from_first_rank(tensor: Tensor) -> Tensor:
    """The first process's tensor, in place."""
    if _running():
        dist.broadcast(tensor, src=0)
    return tensor
