"""Motion codes one after the other, each knowing those before it, instead of all at once.

Papers: Ye et al. 2024, LAPA (arXiv 2410.11758); Bu et al. 2025, UniVLA (2505.06111): a
vision-language model says the codes of a motion latent as it says words. It is here to be compared
with the slots of one forward pass (vlm.py), and differs in nothing else: the code said last stands
at the next slot, and the slots of the actions are read together with the last code's.

`tokens` forward passes: the first reads the prompt, the others one slot each. Departures: the slots
keep their learned queries, to which the code said before is added; the likeliest code is taken,
where UniVLA draws one.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from lam_models.policy.inputs import Inputs
from lam_models.policy.vlm_layout import Known

Codes = Int64[Tensor, "batch tokens"]
Slots = Float[Tensor, "batch slots width"]


class InTurn(nn.Module):
    """What of a code is told to the next slot. `tokens` codes out of `codes`."""

    def __init__(self, tokens: int, codes: int, inner: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.said = nn.Embedding(codes, inner)
        nn.init.normal_(self.said.weight, std=0.02)

    def forward(
        self, backbone: Any, head: nn.Module, inputs: Inputs, known: Known | None = None
    ) -> Slots:
        """The backbone's slots. `head`: from a slot to the scores of its code.

        Codes that the inputs bring along (Examples: of their last rows) are those said before;
        otherwise they are the ones that the head finds likeliest.
        """
        codes = getattr(inputs, "codes", None)
        if codes is None:
            return self._say(backbone, head, inputs, known)
        if len(codes) < len(inputs.words):
            codes = self._complete(backbone, head, inputs, codes)
        asked = backbone.asked.expand(len(codes), -1, -1)
        told = self.said(codes[:, :-1]).to(asked.dtype)
        rest = asked.shape[1] - self.tokens
        shifted = nn.functional.pad(told, (0, 0, 1, rest))
        x = torch.cat([backbone.begin(inputs, known), asked + shifted], dim=1)
        found = backbone.reading(inputs.words, known).read(x)
        return backbone.leave(found[:, -backbone.slots :])

    def _say(self, backbone: Any, head: nn.Module, inputs: Inputs, known: Known | None) -> Slots:
        asked = backbone.asked.expand(len(inputs.words), -1, -1)
        reading = backbone.reading(inputs.words, known, parts=True)
        ends = [*range(1, self.tokens), asked.shape[1]]
        x = torch.cat([backbone.begin(inputs, known), asked[:, : ends[0]]], dim=1)
        slots = [backbone.leave(reading.read(x)[:, -ends[0] :])]
        for start, end in pairwise(ends):
            code = head(slots[-1][:, -1]).argmax(-1)
            first = asked[:, start, None] + self.said(code)[:, None].to(asked.dtype)
            x = torch.cat([first, asked[:, start + 1 : end]], dim=1)
            slots.append(backbone.leave(reading.read(x)))
        return torch.cat(slots, dim=1)

    @torch.no_grad()
    def _complete(
        self,
        backbone: Any,
        head: nn.Module,
        inputs: Inputs,
        codes: Int64[Tensor, "moving tokens"],
    ) -> Codes:
        """Rows without codes say their own."""
        count = len(inputs.words) - len(codes)
        rows = Inputs(
            pixels=inputs.pixels[:count],
            state=inputs.state[:count],
            words=inputs.words[:count],
            delay=inputs.delay[:count],
        )
        own = head(self._say(backbone, head, rows, None)[:, : self.tokens]).argmax(-1)
        return torch.cat([own, codes])
