"""UniVLA's action decoder: what a vision-language model saw and said, to a chunk of actions.

Paper: Bu et al. 2025, UniVLA (arXiv 2505.06111). What was seen is pooled to one vector, which then
asks what was said of the motion.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lam_models.nn.pool import AttentionPool

ACTION = 7  # Translation, rotation vector, gripper: 1 open, 0 closed.
_HEAD_WIDTH = 64


class ActionDecoder(nn.Module):
    """inner: width of the language model's tokens."""

    def __init__(self, inner: int, width: int, steps: int) -> None:
        super().__init__()
        heads = max(width // _HEAD_WIDTH, 1)
        self.latent_action_pool = AttentionPool(inner, width, heads=heads)
        self.visual_pool = AttentionPool(inner, width, heads=heads)
        self.proj = nn.Linear(width, steps * ACTION)

    def forward(
        self, said: Float[Tensor, "batch codes inner"], seen: Float[Tensor, "batch tokens inner"]
    ) -> Float[Tensor, "batch steps 7"]:
        """In -1..1."""
        pooled = self.latent_action_pool(said, seed=self.visual_pool(seen)[:, 0])
        return torch.tanh(self.proj(pooled[:, 0])).unflatten(-1, (-1, ACTION))
