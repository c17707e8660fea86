"""A policy that imagines what comes next, and reads its actions from that.

Paper: Du et al. 2023, UniPi (arXiv 2302.00111): a video model that is told the task imagines a
video, inverse dynamics read the actions off it. Here the imagination is IGOR's (2411.00785): a
latent policy, which never saw an action, says which motion code comes next, and the world model
plays it in the present image. Only the inverse dynamics have seen labels.

Departures. UniPi's video model is a diffusion model that makes a whole episode; this one makes the
next frame, one gap ahead, and does so anew for every answer. One camera is imagined.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from lam_models.checkpoint import Checkpoint, Spec
from lam_models.command import UserError
from lam_models.policy import inverse, slot_policy
from lam_models.policy.inputs import Inputs, observed
from lam_models.policy.opening import hand_space
from lam_models.sense.pixels import fit
from lam_models.strict_json import from_json
from lam_models.systems import igor
from lam_models.types import ActionChunk, Observation

_RATE_TOLERANCE = 0.01


@dataclass(frozen=True)
class Config:
    """Of the three networks. The world model and the inverse dynamics see the same one camera.

    UserError where they do not, or look differently far ahead.
    """

    policy: slot_policy.Config
    world: igor.Config
    inverse: inverse.Config

    def __post_init__(self) -> None:
        seen, told = self.inverse, self.policy
        if len(seen.cameras) != 1 or seen.cameras[0] not in told.cameras:
            raise UserError(
                f"the inverse dynamics see {', '.join(seen.cameras)}; only one camera is imagined, "
                f"one of the latent policy's: {', '.join(told.cameras)}"
            )
        if seen.image_size != self.world.image_size:
            raise UserError(
                f"images of {self.world.image_size} pixels are imagined, and the inverse dynamics "
                f"see {seen.image_size}"
            )
        span_s = seen.gap_steps * seen.dt_s
        if abs(span_s - self.world.gap_s) > _RATE_TOLERANCE * self.world.gap_s:
            raise UserError(
                f"a frame is imagined {self.world.gap_s:g} s ahead, and the inverse dynamics look "
                f"{span_s:g} s ahead"
            )
        wanted = (self.world.tokens, self.world.codebook_size)
        if (told.motion_tokens, told.motion_codes) != wanted:
            raise UserError(
                f"the world model plays {wanted[0]} codes of {wanted[1]}, and the latent policy "
                f"says {told.motion_tokens} of {told.motion_codes}"
            )

    @classmethod
    def tiny(cls) -> Config:
        """For tests."""
        world = igor.Config.tiny()
        told = replace(
            slot_policy.Config.tiny(),
            motion_tokens=world.tokens,
            motion_codes=world.codebook_size,
        )
        seen = replace(inverse.Config.tiny(), cameras=("front",), gap_steps=10)
        return cls(told, world, seen)


class Imagined(nn.Module):
    """The three networks, and a policy made of them. Its chunk ends where its imagination does."""

    Config = Config

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.policy = slot_policy.SlotPolicy(config.policy)
        self.world = igor.Igor(config.world)
        self.inverse = inverse.Inverse(config.inverse)
        self._spec: Spec | None = None

    @classmethod
    def open(cls, checkpoint: Checkpoint, device: str) -> Imagined:
        """From a folder."""
        config = from_json(Config, checkpoint.config, "config.json")
        with torch.random.fork_rng(devices=[]):
            policy = cls(config)
        own = policy.state_dict()
        checkpoint.check_shapes({name: tuple(value.shape) for name, value in own.items()})
        weights = {k: torch.from_numpy(np.array(v)) for k, v in checkpoint.tensors.items()}
        policy.load_state_dict(weights)
        policy._spec = checkpoint.spec
        return policy.to(device).eval()

    @torch.inference_mode()
    def imagine(
        self, inputs: Inputs, present: UInt8[Tensor, "batch height width 3"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """The image one gap after `present`, from 0 to 1."""
        _, codes = self.policy.answer(inputs)
        assert codes is not None
        frames = present.movedim(-1, 1).float() / 255.0
        return self.world.decode(self.world.vq.decode(codes), frames[:, None])

    def act(self, observation: Observation) -> ActionChunk:
        """The chunk that leads to what was imagined."""
        if self._spec is None:
            raise UserError("a policy acts only when it was opened from a folder")
        spec, c = self._spec, self.config
        device = next(self.parameters()).device
        read = self.policy.backbone.read_words
        inputs = observed(observation, spec.cameras, 0, device, read)
        seen = next(camera for camera in spec.cameras if camera.name == c.inverse.cameras[0])
        size = c.inverse.image_size
        pixels = fit(observation.frames[seen.name].pixels, size, size, seen.fit)
        present = torch.from_numpy(np.ascontiguousarray(pixels)[None]).to(device)
        ahead = (255.0 * self.imagine(inputs, present)).round().to(torch.uint8).movedim(1, -1)
        chunk = self.inverse.infer(torch.stack([present, ahead], dim=1)[:, None])
        numbers = chunk[0].float().cpu().numpy()
        return ActionChunk(
            start_ns=observation.stamp_ns,
            dt_s=c.inverse.dt_s,
            frame=spec.delta_axes,
            delta_ee=np.ascontiguousarray(numbers[:, :6]),
            hand=np.ascontiguousarray(numbers[:, 6:]),
            hand_space=hand_space(spec),
        )
