"""Frozen networks that turn an image into patch features, by name.

Papers: DINOv2, Oquab et al. 2023 (arXiv 2304.07193); registers, Darcet et al. 2023 (2309.16588).
UniVLA and Farsighted-LAM predict such features instead of pixels. "table_vit" is a small network
of the same class, trained without labels on this project's simulation (stages/fit_vision.py) and
shipped with it. transformers is imported on construction of a network only.

Construction builds shapes and never downloads: weights are random until `load_released` fetches
them or a model folder's are loaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from jaxtyping import Float
from torch import Tensor, nn

from lam_models.command import UserError, unknown
from lam_models.nn.imagenet import standardise
from lam_models.nn.patches import patchify

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Where the networks that come with the package lie, one folder a name.
SHIPPED = Path(__file__).parent / "weights"
PATCHES = "patches"


@dataclass(frozen=True)
class VitShape:
    """A vision transformer of DINOv2's class.

    image_size: pixels of a side for which positions are stored; others are interpolated.
    gated: the feed-forward layers are gated, as in the giant.
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    patch: int = 14
    image_size: int = 518
    registers: int = 4
    gated: bool = False

    def build(self) -> PreTrainedModel:
        """With random weights."""
        import transformers

        sizes = {
            "hidden_size": self.width,
            "num_hidden_layers": self.depth,
            "num_attention_heads": self.heads,
            "patch_size": self.patch,
            "image_size": self.image_size,
            "use_swiglu_ffn": self.gated,
        }
        if not self.registers:
            return transformers.Dinov2Model(transformers.Dinov2Config(**sizes))
        config = transformers.Dinov2WithRegistersConfig(**sizes, num_register_tokens=self.registers)
        return transformers.Dinov2WithRegistersModel(config)


TABLE_VIT = VitShape(width=96, depth=4, heads=4, patch=8, image_size=64)
_SIZES = {
    "small": (384, 12, 6, False),
    "base": (768, 12, 12, False),
    "large": (1024, 24, 16, False),
    "giant": (1536, 40, 24, True),
}
SHAPES = {"table_vit": TABLE_VIT}
for _size, (_width, _depth, _heads, _gated) in _SIZES.items():
    for _kind, _registers in (("dinov2", 0), ("dinov2-with-registers", 4)):
        SHAPES[f"facebook/{_kind}-{_size}"] = VitShape(
            _width, _depth, _heads, registers=_registers, gated=_gated
        )


class FrozenDinov2(nn.Module):
    """RGB images in [0, 1] to patch tokens of `width` after the final norm, row by row.

    It never trains: no parameter has a gradient and `train()` leaves it in evaluation. Gradients
    do pass through to the image, so that the same network can judge a reconstruction.
    source: what `load_released` loads, a name of the hub or a folder; None for nothing.
    """

    def __init__(self, model: PreTrainedModel, source: str | None = None) -> None:
        super().__init__()
        self.model = model.requires_grad_(False).eval()
        self.source = source
        self.width: int = model.config.hidden_size
        self.patch: int = model.config.patch_size
        # Class token, then register tokens where the variant has them, then patches.
        self.skipped: int = 1 + getattr(model.config, "num_register_tokens", 0)

    @classmethod
    def named(cls, name: str) -> FrozenDinov2:
        """The network of a name in `SHAPES` or of a local folder. UserError for any other."""
        if name in SHAPES:
            shipped = SHIPPED / name
            return cls(SHAPES[name].build(), str(shipped) if shipped.is_dir() else name)
        if Path(name).is_dir():
            from transformers import AutoConfig, AutoModel

            return cls(AutoModel.from_config(AutoConfig.from_pretrained(name)), name)
        raise unknown("vision network or folder of one", name, [PATCHES, *SHAPES])

    @classmethod
    def untrained(cls, shape: VitShape) -> FrozenDinov2:
        """Random weights for good: for tests, or to load into."""
        return cls(shape.build())

    def load_released(self) -> None:
        """The weights of `source`, from its folder, the hub's cache or the hub."""
        if self.source is None:
            return
        try:
            released = type(self.model).from_pretrained(self.source)
        except OSError as error:
            raise UserError(
                f"the weights of '{self.source}' cannot be loaded: neither a folder of them nor in "
                "the hub's cache, and the hub does not answer"
            ) from error
        self.model.load_state_dict(released.state_dict())

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
        return self.model(standardise(images)).last_hidden_state[:, self.skipped :]


class PatchPixels(nn.Module):
    """The stand-in for a network: each patch's pixels, from -1 to 1."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch, self.width = patch, 3 * patch**2

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch tokens {self.width}"]:
        return patchify(2.0 * images - 1.0, self.patch).flatten(1, 2)


Vision: TypeAlias = FrozenDinov2 | PatchPixels


def make_vision(name: str, patch: int) -> Vision:
    """The network `name`, or for "patches" the pixels of patches of `patch` x `patch`.

    A network has its own patch: UserError unless that is `patch`, which decides how many tokens
    an image has.
    """
    if name == PATCHES:
        return PatchPixels(patch)
    network = FrozenDinov2.named(name)
    if network.patch != patch:
        raise UserError(f"patch {patch}: that of the vision network '{name}' is {network.patch}")
    return network
