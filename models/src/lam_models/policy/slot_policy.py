"""A policy that reads motion latents and actions out of a backbone's slots, in one forward pass.

Papers: Ye et al. 2024, LAPA (arXiv 2410.11758): a network learns to predict the latent actions of
unlabelled video from image and instruction, then a few labelled episodes ground it. Kim et al.
2025, OpenVLA-OFT (2502.19645): slots behind the prompt are read all at once instead of one token
after another. Bauer et al. 2025, LAD (2506.14608): the hand is commanded by a latent of a space
that all hands share.

The motion head reads the first slots, a read-out (readouts.py) reads all of them, so that what was
learnt of video reaches the actions. Where places are known (places.py), both read the ways there.
Either may be without labels in a row, or in all of them.
A delayed chunk begins that many steps after the observation (delay augmentation).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from lam_models.checkpoint import Checkpoint, Spec
from lam_models.command import UserError
from lam_models.policy.backbone_kinds import make_backbone, make_in_turn
from lam_models.policy.committed import Committed
from lam_models.policy.inputs import Examples, Inputs, observed
from lam_models.policy.places import Places, Votes
from lam_models.policy.plans import Plans
from lam_models.policy.read_out_kinds import make_read_out
from lam_models.policy.slot_config import Config
from lam_models.policy.views import varied
from lam_models.policy.ways import Sights, Ways, as_seen, remembered, told
from lam_models.strict_json import from_json
from lam_models.types import ActionChunk, LatentSpec, Observation

if TYPE_CHECKING:
    from lam_models.policy.stepping import Stepping

Loss = tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]


class SlotPolicy(nn.Module):
    """A policy folder's network, in training and in use."""

    Config = Config
    takes_committed = True

    def __init__(self, config: Config, vlm: Any = None) -> None:
        """vlm: in place of the vision-language model of the config's source."""
        super().__init__()
        self.config = c = config
        self.backbone = make_backbone(c, vlm)
        self.read_out = make_read_out(
            c.read_out,
            condition_width=c.width,
            chunk_steps=c.chunk_steps,
            latent_dim=c.latent_dim,
            width=c.width,
            depth=c.read_out_depth,
            heads=c.heads,
        )
        if c.pinhole is not None:
            self.places = Places(c.pinhole, c.image_size, c.fine_channels, c.reach_m)
            self.ways = Ways(c.width)
        if c.motion_tokens:
            self.motion = nn.Linear(c.width, c.motion_codes or c.motion_dim)
        self.in_turn = make_in_turn(c, self.backbone)
        self._stepping: Stepping | None = None
        self._spec: Spec | None = None
        self._sights = Sights()
        self._plans = Plans()

    def rate_share(self, parameter: str) -> float:
        """Of the learning rate."""
        return self.config.places_rate if parameter.startswith("places.") else 1.0

    def loss(self, batch: Examples) -> Loss:
        """Of whatever the batch knows; what it does not know costs nothing."""
        c = self.config
        if self.training:
            chances = (c.shift, c.tint, c.state_noise, c.stray_m, c.measured)
            batch = varied(batch, *chances)
            if batch.showing is not None:
                batch = replace(batch, showing=varied(batch.showing, *chances))
        with _quick_attention(batch.pixels.device):
            return self._loss(batch)

    def _loss(self, batch: Examples) -> Loss:
        c = self.config
        condition, off = self._with_ways(self._slots(batch), batch)
        total, logged = condition.sum() * 0.0, {}
        if batch.chunk is not None:
            loss, parts = self.read_out.loss(condition[: len(batch.chunk)], batch.chunk)
            total, logged = total + loss, {"action": loss.detach(), **parts}
        if off is not None:
            total, logged = total + c.places_weight * off, {**logged, "places": off.detach()}
        if c.motion_tokens and (batch.codes is not None or batch.values is not None):
            loss, parts = self._motion_loss(condition, batch)
            weight = c.motion_weight if batch.chunk is not None else 1.0
            total, logged = total + weight * loss, {**logged, "motion": loss.detach(), **parts}
        return total, logged

    def _with_ways(
        self, slots: Float[Tensor, "rows slots width"], inputs: Inputs
    ) -> tuple[Float[Tensor, "rows more width"], Float[Tensor, ""] | None]:
        """What the heads read, and what is missed of known places."""
        if self.config.pinhole is None:
            return slots, None
        off = None
        if isinstance(inputs, Examples):
            poses, off = self._told(inputs), self._missed(inputs)
        else:
            poses = told(self.find(inputs)) if inputs.places is None else inputs.places
        ways = self.ways(poses, inputs.state[: len(poses)])
        # Video without poses says no ways.
        ways = functional.pad(ways, (0, 0, 0, 0, 0, len(slots) - len(ways)))
        # Every token begins with the ways, so that to follow them needs no attention.
        return torch.cat([slots + ways.sum(1, keepdim=True), ways], dim=1), off

    @torch.no_grad()
    def find(self, inputs: Inputs, rows: int | None = None) -> Float[Tensor, "rows places 9"]:
        """The poses that the first camera's picture and the words say the hand goes to."""
        learning = self.places.training
        votes = self._votes(self.places.eval(), inputs, rows)
        self.places.train(learning)
        return self.places.poses(votes)

    def _votes(self, places: Places, inputs: Inputs, rows: int | None = None) -> Votes:
        pictures = inputs.pixels[:rows, 0].movedim(-1, 1).float().div_(255.0)
        return places(pictures, inputs.words[:rows])

    def _told(self, batch: Examples) -> Float[Tensor, "placed told 9"]:
        """Of the first rows, of which they are known: places as they would be remembered.

        Whoever is told the truth where it can be seen learns to go where it is told.
        """
        if batch.places is None or batch.places_known is None:
            return told(self.find(batch))
        wanted, rows = batch.places, len(batch.places)
        found = poses = self.find(batch, rows)
        if self.training:
            wanted = as_seen(wanted)
            poses = torch.where(batch.places_known[..., None], wanted, poses)
        return told(remembered(poses, wanted, batch.state[:rows, :3]), found)

    def _missed(self, batch: Examples) -> Float[Tensor, ""] | None:
        """Of the places that rows show; of rows for that alone, where there are any."""
        shown = batch.showing or batch
        if shown.places is None or shown.places_known is None:
            return None
        votes = self._votes(self.places, shown)
        return self.places.loss(votes, shown.places, shown.places_known)

    def _motion_loss(self, condition: Float[Tensor, "batch more width"], batch: Examples) -> Loss:
        found = self.motion(condition[:, : self.config.motion_tokens])
        if batch.codes is None:
            assert batch.values is not None
            return functional.smooth_l1_loss(found[-len(batch.values) :], batch.values), {}
        found, codes = found[-len(batch.codes) :], batch.codes
        right = (found.detach().argmax(-1) == codes).float().mean()
        return functional.cross_entropy(found.flatten(0, 1), codes.flatten()), {
            "codes_right": right
        }

    def _slots(self, inputs: Inputs, *known: Any) -> Float[Tensor, "batch slots width"]:
        if self.in_turn is None:
            return self.backbone(inputs, *known)
        return self.in_turn(self.backbone, self.motion, inputs, *known)

    @torch.no_grad()
    def answer(
        self, inputs: Inputs, *known: Any
    ) -> tuple[Float[Tensor, "batch steps numbers"], Int64[Tensor, "batch tokens"] | None]:
        """Chunks, and the motion codes behind them where there are any. Waits for nothing.

        known: what a backbone that reads instructions ahead keeps of these, once it is.
        """
        slots = self._slots(inputs, *known)
        noise = slots.new_zeros(len(slots), *self.read_out.shape)
        condition, _ = self._with_ways(slots, inputs)
        chunk = self.read_out.read(condition, noise)
        tokens = self.config.motion_tokens
        codes = self.motion(condition[:, :tokens]).argmax(-1) if self.config.motion_codes else None
        return chunk, codes

    @classmethod
    def open(cls, checkpoint: Checkpoint, device: str) -> SlotPolicy:
        """From a folder, half precision back as float32."""
        config = from_json(Config, checkpoint.config, "config.json")
        with torch.random.fork_rng(devices=[]):
            policy = cls(config)
        own = policy.state_dict()
        checkpoint.check_shapes({name: tuple(value.shape) for name, value in own.items()})
        weights = {
            name: torch.from_numpy(np.array(value)).to(own[name].dtype)
            for name, value in checkpoint.tensors.items()
        }
        policy.load_state_dict(weights)
        policy._spec = checkpoint.spec
        return policy.to(device).eval()

    def prepare(self, observation: Observation) -> None:
        """Fixed buffers from here on (stepping.py), as for this observation, wherever it pays."""
        device = next(self.parameters()).device
        if device.type == "cuda" or hasattr(self.backbone, "read_ahead"):
            from lam_models.policy.stepping import Stepping, best

            self._stepping = None
            self._stepping = Stepping(self, self._observed(observation, 0, "cpu"), best(device))

    def act(self, observation: Observation, committed: Committed | None = None) -> ActionChunk:
        """The chunk that begins at the observation; its committed steps are those of the plan."""
        spec, c = self._known_spec(), self.config
        steps = 0 if committed is None else min(committed.steps, c.greatest_delay)
        if self._stepping is not None:
            chunk, codes = self._stepping(self._observed(observation, steps, "cpu"))
        else:
            device = next(self.parameters()).device
            chunk, codes = self.answer(self._observed(observation, steps, device))
        numbers = chunk[0].float().cpu().numpy()
        if committed is not None and steps:
            numbers = np.concatenate([committed.numbers(steps), numbers])[: c.chunk_steps]
        plan = ActionChunk(
            start_ns=observation.stamp_ns,
            dt_s=c.dt_s,
            frame=spec.delta_axes,
            delta_ee=np.ascontiguousarray(numbers[:, :6]),
            hand=np.ascontiguousarray(numbers[:, 6:]),
            hand_space=_space(spec),
            motion_codes=None if codes is None else codes[0].cpu().numpy().astype(np.uint16),
        )
        return self._plans.agreed(plan)

    def _observed(self, observation: Observation, steps: int, device: torch.device | str) -> Inputs:
        cameras = self._known_spec().cameras
        inputs = observed(observation, cameras, steps, device, self.backbone.read_words)
        held = self._plans.hands_told(observation.stamp_ns, self.config.latent_dim)
        inputs = replace(inputs, held=torch.from_numpy(held[None]).to(device))
        if self.config.pinhole is None:
            return inputs
        return replace(inputs, places=self._look(inputs, observation.stamp_ns))

    @torch.no_grad()
    def _look(self, inputs: Inputs, stamp_ns: int) -> Float[Tensor, "1 told 9"]:
        """Where the hand goes, and while it hides that, where it was seen before."""
        here = next(self.parameters()).device
        words = inputs.words.to(here)
        found = self.find(replace(inputs, pixels=inputs.pixels.to(here), words=words))
        poses = self._sights.seen(found, words, inputs.state[:, :3].to(here), stamp_ns)
        return told(poses, found).to(inputs.state.device)

    def _known_spec(self) -> Spec:
        if self._spec is None:
            raise UserError("a policy acts only when it was opened from a folder")
        return self._spec


def _quick_attention(device: torch.device) -> AbstractContextManager[object]:
    """On a CPU the gradient of fused attention takes twice as long as plain products do."""
    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def _space(spec: Spec) -> LatentSpec:
    return next(space for space in spec.emits if space.kind == "hand")
