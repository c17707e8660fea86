"""The vision-language model of OpenVLA and UniVLA: DINOv2 and SigLIP side by side, then Llama.

Paper: Karamcheti et al. 2024, Prismatic VLMs (arXiv 2402.07865); Kim et al. 2024, OpenVLA
(2406.09246); Bu et al. 2025, UniVLA (2505.06111). The transformers library has no such class: the
releases bring code of their own, which is not needed here. Names and shapes are the releases'.

Both eyes give the patches of their last block but one, without its norm; what comes behind it is
not built. `prismatic_file.py` opens a release's folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lam_models.nn.imagenet import MEAN, STD

MODEL_TYPE = "prismatic"


@dataclass(frozen=True)
class EyeShape:
    """blocks: those that are run. registers, class_token: tokens beside the patches. scaled:
    branches of a block are scaled, as in DINOv2."""

    width: int
    hidden: int
    blocks: int
    heads: int = 16
    patch: int = 14
    image_size: int = 224
    registers: int = 0
    class_token: bool = False
    scaled: bool = False


DINOV2_LARGE = EyeShape(1024, 4096, 23, registers=4, class_token=True, scaled=True)
SIGLIP_SO400M = EyeShape(1152, 4304, 26)


class Scale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale_factor = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale_factor


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(found.transpose(1, 2).flatten(2))


class _Feedforward(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


class _Block(nn.Module):
    def __init__(self, shape: EyeShape) -> None:
        super().__init__()
        width = shape.width
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = _Attention(width, shape.heads)
        self.ls1 = Scale(width) if shape.scaled else nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = _Feedforward(width, shape.hidden)
        self.ls2 = Scale(width) if shape.scaled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class Featurizer(nn.Module):
    """A vision transformer: images to patches, row by row."""

    def __init__(self, shape: EyeShape) -> None:
        super().__init__()
        self.image_size = shape.image_size
        side = shape.image_size // shape.patch
        patches = nn.Conv2d(3, shape.width, shape.patch, stride=shape.patch)
        self.patch_embed = nn.ModuleDict({"proj": patches})
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, side**2, shape.width))
        self.cls_token = self.reg_token = None
        if shape.class_token:
            self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, shape.width))
        if shape.registers:
            self.reg_token = nn.Parameter(0.02 * torch.randn(1, shape.registers, shape.width))
        self.blocks = nn.Sequential(*(_Block(shape) for _ in range(shape.blocks)))

    def forward(
        self, images: Float[Tensor, "images 3 side side"]
    ) -> Float[Tensor, "images patches width"]:
        x = self.patch_embed["proj"](images).flatten(2).transpose(1, 2) + self.pos_embed
        extra = [t for t in (self.cls_token, self.reg_token) if t is not None]
        x = torch.cat([*(t.expand(len(x), -1, -1) for t in extra), x], dim=1)
        return self.blocks(x)[:, x.shape[1] - self.pos_embed.shape[1] :]


class _Eyes(nn.Module):
    """The same image for both, as each was trained to see it."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, first: EyeShape, second: EyeShape) -> None:
        super().__init__()
        self.featurizer, self.fused_featurizer = Featurizer(first), Featurizer(second)
        for name, values in (("mean", MEAN), ("deviation", STD)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """images: in -1..1, as SigLIP takes them."""
        first = (0.5 * images + 0.5 - self.mean) / self.deviation
        dtype = self.featurizer.pos_embed.dtype
        both = (self.featurizer(first.to(dtype)), self.fused_featurizer(images.to(dtype)))
        return torch.cat(both, dim=-1)


class _Projector(nn.Module):
    def __init__(self, seen: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(seen, 4 * seen)
        self.fc2 = nn.Linear(4 * seen, inner)
        self.fc3 = nn.Linear(inner, inner)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc3(functional.gelu(self.fc2(functional.gelu(self.fc1(x)))))


class Prismatic(nn.Module):
    """eyes: DINOv2's and SigLIP's. language: configuration of a Llama of transformers."""

    def __init__(self, eyes: tuple[EyeShape, EyeShape], language: Any) -> None:
        super().__init__()
        from transformers import LlamaModel

        self.config = SimpleNamespace(model_type=MODEL_TYPE)
        self.vision_backbone = _Eyes(*eyes)
        self.projector = _Projector(sum(eye.width for eye in eyes), language.hidden_size)
        self.language_model = LlamaModel(language)

    def compute(self) -> None:
        """What is computed and not read, once more: a model made without memory lacks it."""
        rotary = self.language_model.rotary_emb
        self.language_model.rotary_emb = type(rotary)(self.language_model.config)
        eyes = self.vision_backbone
        eyes.mean = torch.tensor(MEAN)[:, None, None]
        eyes.deviation = torch.tensor(STD)[:, None, None]

    def see(
        self, images: Float[Tensor, "images 3 side side"]
    ) -> Float[Tensor, "images patches inner"]:
        """images: in -1..1."""
        return self.projector(self.vision_backbone(images))
