"""UniVLA's released policies: a Prismatic model says four motion codes, a small decoder acts.

Paper: Bu et al. 2025, UniVLA (arXiv 2505.06111). The folder holds the decoder, the actions' ranges
and the hand latents of an open and a closed gripper; the 7 B parameters and the tokenizer stay in
the release's folder, `source`. It is run as its authors' evaluation on LIBERO does.

    [first word][image][words, padded on the left] ─▶ code ─▶ code ─▶ code ─▶ code
     what was seen: the first 256 outputs             said: the outputs that led to each code

Departures: the likeliest code is taken, out of codes only, where they draw from all words;
positions are counted without the padding, so that it changes nothing. Their training pools the
outputs at the codes, their evaluation those that led to them, one earlier; so does this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor, nn
from torch.nn import functional
from transformers.cache_utils import DynamicCache

from lam_models.checkpoint import Checkpoint, Spec
from lam_models.command import UserError, unknown
from lam_models.policy.inputs import Inputs
from lam_models.policy.opening import hand_space
from lam_models.policy.prismatic import Prismatic
from lam_models.policy.prismatic_file import HEAD, open_prismatic, read_tensors
from lam_models.policy.stepping import Stepping, best
from lam_models.policy.univla_decoder import ACTION, ActionDecoder
from lam_models.policy.vlm_layout import Layout, Reading, barred
from lam_models.policy.vlm_opening import open_tokenizer
from lam_models.sense.pixels import fit
from lam_models.strict_json import from_json
from lam_models.types import ActionChunk, LatentSpec, Observation

_ELSEWHERE = ("vlm.", "scores.")
_REMEMBERED_NS = 1_000_000_000


@dataclass(frozen=True)
class Config:
    """source: the release's folder. first_code, codes: where the tokenizer has <ACT_0>, and how
    many. tokens: codes of a motion.

    first_word, last_word: of every prompt; the last follows the text where it does not end with it.
    history: the codes said before are told, as long as instruction and motion go on.
    crop: share of the image's area that is seen, as of models trained with random crops.
    translation_m, rotation_rad: of an action of 1.
    """

    source: str
    steps: int = 12
    width: int = 512
    latent_dim: int = 16
    dt_s: float = 0.05
    translation_m: float = 0.05
    rotation_rad: float = 0.5
    tokens: int = 4
    codes: int = 16
    first_code: int = 32001
    first_word: int = 1
    last_word: int = 29871
    prompt_tokens: int = 64
    history: bool = True
    crop: float = 0.9
    precision: Literal["float32", "bfloat16"] = "bfloat16"


class UnivlaPolicy(nn.Module):
    """A policy folder's network. ranges: of the actions, low and high; ranged: the numbers that
    have one. hands: latents of the closed and of the open gripper."""

    Config = Config
    backbone = None  # Nothing is read ahead: the image comes first.
    ranges: Tensor
    ranged: Tensor
    hands: Tensor
    base: Tensor
    places: Tensor

    def __init__(self, config: Config, vlm: Prismatic, image_size: int) -> None:
        super().__init__()
        self.config = c = config
        self.vlm = vlm.requires_grad_(False)
        inner = vlm.language_model.config.hidden_size
        self.scores = nn.Linear(inner, c.codes, bias=False)
        self.decoder = ActionDecoder(inner, c.width, c.steps)
        self.register_buffer("ranges", torch.zeros(2, ACTION))
        self.register_buffer("ranged", torch.zeros(ACTION))
        self.register_buffer("hands", torch.zeros(2, c.latent_dim))
        self.patches = vlm.vision_backbone.featurizer.pos_embed.shape[1]
        self.layout = Layout(
            text=c.prompt_tokens,
            images=1,
            image_tokens=1 + self.patches,
            rest=c.tokens - 1,
            mutual=0,
            text_first=False,
        )
        self.register_buffer("base", self.layout.allowed(), persistent=False)
        side = c.crop**0.5
        shown = torch.tensor([[[side, 0.0, 0.0], [0.0, side, 0.0]]])
        places = functional.affine_grid(shown, [1, 3, image_size, image_size], align_corners=True)
        self.register_buffer("places", places, persistent=False)
        self._spec: Spec | None = None
        self._stepping: Stepping | None = None
        self._said: tuple[str, int, tuple[int, ...]] = ("", 0, ())

    def own_tensors(self) -> dict[str, Tensor]:
        """Those of a policy folder."""
        state = self.state_dict()
        return {name: x for name, x in state.items() if not name.startswith(_ELSEWHERE)}

    @classmethod
    def open(cls, checkpoint: Checkpoint, device: str) -> UnivlaPolicy:
        """From a folder and the release's. UserError where either is not as it should be."""
        c = from_json(Config, checkpoint.config, "config.json")
        dtype = getattr(torch, c.precision)
        (camera,) = checkpoint.spec.cameras
        policy = cls(c, open_prismatic(c.source, dtype), camera.height)
        own = policy.own_tensors()
        checkpoint.check_shapes({name: tuple(value.shape) for name, value in own.items()})
        weights = {k: torch.from_numpy(np.array(v)) for k, v in checkpoint.tensors.items()}
        policy.load_state_dict(weights, strict=False)
        policy.scores.weight = nn.Parameter(code_rows(c).to(dtype), requires_grad=False)
        policy._spec = checkpoint.spec
        return policy.to(device).eval()

    def read_words(
        self, instructions: Sequence[str], codes: Sequence[int] = ()
    ) -> Int64[np.ndarray, "batch words 1"]:
        """Numbers of the tokenizer from 1, 0 for padding on the left. UserError if too long."""
        c = self.config
        tokenizer, out = open_tokenizer(c.source), np.zeros((len(instructions), c.prompt_tokens, 1))
        said = "".join(f"<ACT_{code}>" for code in codes)
        history = f" History action {said}" if said else ""
        for row, text in enumerate(instructions):
            asked = f"In: What action should the robot take to {text.lower()}?{history}\nOut:"
            ids = list(tokenizer(asked)["input_ids"])
            ids = ids[1:] if ids[:1] == [c.first_word] else ids
            ids += [] if ids[-1:] == [c.last_word] else [c.last_word]
            if len(ids) > c.prompt_tokens:
                raise UserError(
                    f"'{text}' makes a prompt of {len(ids)} tokens, of {c.prompt_tokens} at most"
                )
            out[row, c.prompt_tokens - len(ids) :, 0] = np.asarray(ids) + 1
        return out.astype(np.int64)

    @torch.no_grad()
    def answer(
        self, inputs: Inputs
    ) -> tuple[Float[Tensor, "batch steps numbers"], Int64[Tensor, "batch tokens"]]:
        """Chunks and motion codes. Waits for nothing."""
        c, language = self.config, self.vlm.language_model
        table, words = language.get_input_embeddings(), inputs.words
        seen = self.vlm.see(self._shown(inputs.pixels[:, 0]))
        ids = torch.nn.functional.pad((words[..., 0] - 1).clamp_min(0), (1, 0), value=c.first_word)
        text = table(ids)
        x = torch.cat([text[:, :1], seen, text[:, 1:]], dim=1)
        mask = barred(self.base, words, self.layout, x.dtype)
        cache = DynamicCache(config=language.config)
        reading = Reading(language, mask, self._positions(words[..., 0] != 0), cache)
        found = reading.read(x)
        said, codes = [found[:, -1]], [self.scores(found[:, -1]).argmax(-1)]
        for _ in range(c.tokens - 1):
            said.append(reading.read(table(c.first_code + codes[-1])[:, None])[:, 0])
            codes.append(self.scores(said[-1]).argmax(-1))
        actions = self.decoder(torch.stack(said, 1).float(), found[:, : self.patches].float())
        return self._chunk(actions), torch.stack(codes, 1)

    def prepare(self, observation: Observation) -> None:
        """Fixed buffers from here on (stepping.py)."""
        how = best(next(self.parameters()).device)
        self._stepping = Stepping(self, self._observed(observation, ()), how)

    def act(self, observation: Observation) -> ActionChunk:
        """The chunk that begins at the observation."""
        spec, c = self._known_spec(), self.config
        text, before_ns, codes = self._said
        goes_on = (
            text == observation.instruction
            and 0 < observation.stamp_ns - before_ns < _REMEMBERED_NS
        )
        inputs = self._observed(observation, codes if c.history and goes_on else ())
        if self._stepping is not None:
            chunk, found = self._stepping(inputs)
        else:
            device = self.hands.device
            there = {name: value.to(device) for name, value in inputs.tensors().items()}
            chunk, found = self.answer(Inputs(**there))
        assert found is not None
        said = found[0].cpu().numpy()
        self._said = (observation.instruction, observation.stamp_ns, tuple(said.tolist()))
        numbers = chunk[0].float().cpu().numpy()
        return ActionChunk(
            start_ns=observation.stamp_ns,
            dt_s=c.dt_s,
            frame=spec.delta_axes,
            delta_ee=np.ascontiguousarray(numbers[:, :6]),
            hand=np.ascontiguousarray(numbers[:, 6:]),
            hand_space=self._hand_space(),
            motion_codes=said.astype(np.uint16),
        )

    def _observed(self, observation: Observation, codes: Sequence[int]) -> Inputs:
        (camera,) = self._known_spec().cameras
        if camera.name not in observation.frames:
            raise unknown("camera of the observation", camera.name, observation.frames)
        pixels = observation.frames[camera.name].pixels
        image = fit(pixels, camera.height, camera.width, camera.fit)
        return Inputs(
            pixels=torch.from_numpy(np.ascontiguousarray(image)[None, None]),
            state=torch.zeros(1, 1),
            words=torch.from_numpy(self.read_words([observation.instruction], codes)),
            delay=torch.zeros(1),
        )

    def _shown(
        self, images: UInt8[Tensor, "batch side side 3"]
    ) -> Float[Tensor, "batch 3 side side"]:
        """The crop, back at the image's size, in -1..1."""
        x = images.movedim(-1, 1).float()
        if self.config.crop < 1.0:
            places = self.places.expand(len(x), -1, -1, -1)
            x = functional.grid_sample(x, places, align_corners=True).round()
        return x / 127.5 - 1.0

    def _positions(self, known: Bool[Tensor, "batch words"]) -> Int64[Tensor, "batch tokens"]:
        """Of all tokens; padding takes no place."""
        first = self.layout.image_tokens
        before = torch.arange(first, device=known.device).expand(len(known), -1)
        text = first - 1 + known.long().cumsum(1)
        after = torch.arange(1, self.layout.rest + 1, device=known.device) + text[:, -1:]
        return torch.cat([before, text, after], dim=1)

    def _chunk(
        self, actions: Float[Tensor, "batch steps 7"]
    ) -> Float[Tensor, "batch steps numbers"]:
        low, high = self.ranges
        ranged = 0.5 * (actions + 1.0) * (high - low) + low
        actions = torch.where(self.ranged > 0.5, ranged, actions)
        c = self.config
        moved, turned, opened = actions.split((3, 3, 1), dim=-1)
        hand = torch.where(opened > 0.5, self.hands[1], self.hands[0])
        return torch.cat([c.translation_m * moved, c.rotation_rad * turned, hand], dim=-1)

    def _known_spec(self) -> Spec:
        if self._spec is None:
            raise UserError("a policy acts only when it was opened from a folder")
        return self._spec

    def _hand_space(self) -> LatentSpec:
        return hand_space(self._known_spec())


def code_rows(c: Config) -> Float[Tensor, "codes inner"]:
    """Of the release's head of words, those of the codes. UserError where there are none."""
    rows: dict[str, Any] = dict(read_tensors(Path(c.source), {HEAD}))
    if HEAD not in rows or len(rows[HEAD]) < c.first_code + c.codes:
        raise UserError(
            f"{c.source}: {HEAD} has no rows {c.first_code} to {c.first_code + c.codes - 1}, those "
            "of UniVLA's codes"
        )
    return rows[HEAD][c.first_code : c.first_code + c.codes].clone()
