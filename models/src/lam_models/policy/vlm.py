"""A backbone made of a vision-language model of transformers, read in one forward pass.

Papers: Kim et al. 2024, OpenVLA (arXiv 2406.09246): a vision-language model becomes a policy. Kim
et al. 2025, OpenVLA-OFT (2502.19645): learned slots behind the prompt see it and each other, and
are read all at once. Hu et al. 2021, LoRA (2106.09685), where not every weight is trained.

The prompt is padded on the left to one length, so that shapes stand still and the text touches
what follows. It stands before the images where the language model reads in one direction: its keys
and values then depend on the instruction alone (`read_ahead`), and are used again at each tick.
Departure: OpenVLA has the image first. State and delay are a token each, behind the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from lam_models.policy.backbones import LEAST_SCALE
from lam_models.policy.inputs import Inputs
from lam_models.policy.vlm_choice import Vlm
from lam_models.policy.vlm_families import family_of
from lam_models.policy.vlm_layout import Ahead, Known, Layout, Reading, Room, barred
from lam_models.policy.vlm_opening import adapted, open_model, pixel_statistics, read_prompts

_TOLD = 2


class VlmBackbone(nn.Module):
    """A backbones.Backbone. mean, scale: of the state's features; buffers, set from the data."""

    mean: Tensor
    scale: Tensor
    pixel_mean: Tensor
    pixel_scale: Tensor
    base: Tensor
    positions: Tensor

    def __init__(
        self,
        vlm: Vlm,
        *,
        cameras: int,
        image_size: int,
        features: int,
        slots: int,
        width: int,
        in_turn: int = 0,
        model: Any = None,
    ) -> None:
        """in_turn: how many of the slots, the first, read those before them only, not all.
        model: in place of that of the source, e.g. one of random weights.
        """
        super().__init__()
        self.vlm, self.slots, self.width = vlm, slots, width
        model = open_model(vlm.source, vlm.precision) if model is None else model
        self.model = adapted(model, vlm.lora_rank, vlm.lora_alpha)
        self.family = family_of(self.model.config)
        inner = self.language.config.hidden_size
        self.state = nn.Sequential(nn.Linear(features, inner), nn.GELU(), nn.Linear(inner, inner))
        self.delay = nn.Linear(1, inner)
        self.queries = nn.Parameter(0.02 * torch.randn(slots, inner))
        self.out = nn.Sequential(nn.Linear(inner, width), nn.LayerNorm(width))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        mean, deviation = pixel_statistics(vlm.source, self.family)
        self.register_buffer("pixel_mean", 255.0 * mean, persistent=False)
        self.register_buffer("pixel_scale", 255.0 * deviation, persistent=False)
        with torch.no_grad():
            tokens = self._see(torch.zeros(1, 1, image_size, image_size, 3)).shape[1]
        self.layout = Layout(
            text=vlm.prompt_tokens,
            images=cameras,
            image_tokens=tokens,
            rest=_TOLD + slots,
            mutual=slots - in_turn,
            text_first=vlm.instruction_first and not self.family.bidirectional,
            bidirectional=self.family.bidirectional,
        )
        self.register_buffer("base", self.layout.allowed(), persistent=False)
        places = self.layout.positions(self.family.grid) + self.family.first_position
        self.register_buffer("positions", places, persistent=False)
        self._keep_what_is_trained()

    @property
    def language(self) -> Any:
        """The language model."""
        return getattr(self.model, self.family.language)

    def standardise(
        self, mean: Float[Tensor, " features"], deviation: Float[Tensor, " features"]
    ) -> None:
        """Set the statistics of the state's features."""
        self.mean.copy_(mean)
        self.scale.copy_(deviation.clamp_min(LEAST_SCALE))

    def read_words(self, instructions: Sequence[str]) -> Int64[np.ndarray, "batch words 1"]:
        """As vlm_opening.read_prompts."""
        return read_prompts(self.vlm, instructions)

    def forward(
        self, inputs: Inputs, known: Known | None = None
    ) -> Float[Tensor, "batch slots width"]:
        """`known`: the same instructions, from `read_ahead`; without it they are read here."""
        asked = self.asked.expand(len(inputs.words), -1, -1)
        found = self.reading(inputs.words, known).read(
            torch.cat([self.begin(inputs, known), asked], dim=1)
        )
        return self.leave(found[:, -self.slots :])

    @property
    def asked(self) -> Float[Tensor, "slots inner"]:
        """What stands at the slots, as the language model takes it."""
        return self.queries.to(self.language.dtype)

    def leave(
        self, found: Float[Tensor, "batch tokens inner"]
    ) -> Float[Tensor, "batch tokens width"]:
        """What the language model found at slots, as read-outs take it."""
        return self.out(found.to(self.queries.dtype))

    def read_ahead(self, words: Int64[Tensor, "batch words 1"]) -> Ahead | None:
        """What the language model keeps of instructions; None where it cannot be read ahead."""
        if not self.layout.text_first:
            return None
        mask = barred(self.base, words, self.layout, self.language.dtype)
        count = self.layout.text
        return Ahead.of(self.language, self._text(words), mask[..., :count, :count], self.positions)

    def room(self, ahead: Ahead) -> Room:
        """Buffers for sequences that begin with `ahead`."""
        return Room.like(ahead, len(self.base))

    def begin(self, inputs: Inputs, known: Known | None) -> Float[Tensor, "batch tokens inner"]:
        """All that stands before the slots and is not known yet."""
        return torch.cat([*self._prompt(inputs, known), self._told(inputs)], dim=1)

    def reading(
        self, words: Int64[Tensor, "batch words 1"], known: Known | None, *, parts: bool = False
    ) -> Reading:
        """Of sequences with these instructions, behind what is known, at once or in parts."""
        mask = barred(self.base, words, self.layout, self.language.dtype)
        if known is not None:
            return Reading(self.language, mask, self.positions, known.cache(), known.start)
        cache = DynamicCache(config=self.language.config) if parts else None
        return Reading(self.language, mask, self.positions, cache)

    def _prompt(self, inputs: Inputs, known: Known | None) -> list[Tensor]:
        seen = self._see(inputs.pixels)
        if known is not None:
            return [seen]
        text = self._text(inputs.words)
        return [text, seen] if self.layout.text_first else [seen, text]

    def _text(self, words: Int64[Tensor, "batch words 1"]) -> Float[Tensor, "batch words inner"]:
        return self.language.get_input_embeddings()((words[..., 0] - 1).clamp_min(0))

    def _see(self, pixels: Tensor) -> Float[Tensor, "batch tokens inner"]:
        images = (pixels.flatten(0, 1) - self.pixel_mean) / self.pixel_scale
        seen = self.family.see(self.model, images.movedim(-1, 1).to(self.language.dtype))
        return seen.reshape(len(pixels), -1, seen.shape[-1])

    def _told(self, inputs: Inputs) -> Float[Tensor, "batch 2 inner"]:
        state = self.state((inputs.state - self.mean) / self.scale)
        told = torch.stack([state, self.delay(inputs.delay[:, None])], dim=1)
        return told.to(self.language.dtype)

    def _keep_what_is_trained(self) -> None:
        """Weights that stay those of the source are neither written nor asked for."""
        frozen = {f"model.{k}" for k, p in self.model.named_parameters() if not p.requires_grad}
        frozen |= {f"model.{k}" for k, _ in self.model.named_buffers()} if frozen else set()

        def leave_out(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
            for name in frozen:
                state.pop(prefix + name, None)

        def forgive(module: nn.Module, incompatible: Any) -> None:
            missing = incompatible.missing_keys
            missing[:] = [k for k in missing if not any(k.endswith(name) for name in frozen)]

        self._register_state_dict_hook(leave_out)
        self.register_load_state_dict_post_hook(forgive)
