"""The content hash of weights, by which two parts recognise that they share a latent space."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """First 16 hex digits of SHA-256 over names, types, shapes and values, in order of name."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.reshape(-1).view(dtype=torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
