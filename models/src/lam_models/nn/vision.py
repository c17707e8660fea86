"""Frozen DINOv2 patch features through the transformers library.

Papers: Oquab et al. 2023 (arXiv 2304.07193); registers: Darcet et al. 2023 (2309.16588). UniVLA and
Farsighted-LAM predict these features instead of pixels. transformers is imported on construction
only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# The statistics of ImageNet's RGB channels, in [0, 1].
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class FrozenDinov2(nn.Module):
    """RGB images in [0, 1] to patch tokens of `width` after the final norm, row by row.

    It never trains: no parameter has a gradient and `train()` leaves it in evaluation. Gradients
    do pass through to the image, so that the same network can judge a reconstruction.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model.requires_grad_(False).eval()
        self.width: int = model.config.hidden_size
        self.patch: int = model.config.patch_size
        # Class token, then register tokens where the variant has them, then patches.
        self.skipped: int = 1 + getattr(model.config, "num_register_tokens", 0)
        self.register_buffer("mean", torch.tensor(_MEAN)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(_STD)[:, None, None], persistent=False)

    @classmethod
    def from_hub(cls, name: str = "facebook/dinov2-with-registers-base") -> FrozenDinov2:
        """Released weights, from the hub, its cache or a local folder."""
        from transformers import AutoModel

        return cls(AutoModel.from_pretrained(name))

    @classmethod
    def untrained(
        cls,
        *,
        width: int = 768,
        depth: int = 12,
        heads: int = 12,
        patch: int = 14,
        image_size: int = 518,
    ) -> FrozenDinov2:
        """Random weights, ViT-B/14 with four registers by default: for tests, or to load into.

        image_size: pixels of a side for which positions are stored; others are interpolated.
        """
        from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

        config = Dinov2WithRegistersConfig(
            hidden_size=width,
            num_hidden_layers=depth,
            num_attention_heads=heads,
            patch_size=patch,
            image_size=image_size,
        )
        return cls(Dinov2WithRegistersModel(config))

    def train(self, mode: bool = True) -> FrozenDinov2:
        """Stays in evaluation whatever `mode` says."""
        return super().train(False)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch tokens {self.width}"]:
        height, width = images.shape[-2:]
        if height % self.patch or width % self.patch:
            raise ValueError(
                f"image of {height} x {width} pixels: both sides must be multiples of {self.patch}"
            )
        normalised = (images - self.mean) / self.std
        return self.model(normalised).last_hidden_state[:, self.skipped :]
