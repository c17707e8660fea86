"""UniVLA's second stage: the task-centric latent actions. Paper, claim, departures: univla.py."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from lam_models.nn.quantise import nearest_code
from lam_models.nn.vision import Vision, make_vision
from lam_models.nn.vq import VQ
from lam_models.systems.roles import ClipBatch, Encoded
from lam_models.systems.univla import (
    Config,
    Decoder,
    Encoder,
    UniVlaStage1,
    learned_tokens,
    make_spec,
    nearest,
    pair_features,
)
from lam_models.types import LatentSpec


class UniVla(nn.Module):
    """Stage 2: task-centric codes, beside the frozen task-irrelevant codebook."""

    Config = Config

    def __init__(self, config: Config, *, vision: Vision | None = None) -> None:
        super().__init__()
        self.config = c = config
        self.vision = make_vision(c.vision, c.patch) if vision is None else vision
        features = self.vision.width
        self.action_latent = learned_tokens(c.tokens, features)
        self.action_latent_controllable = learned_tokens(c.tokens, features)
        self.encoder = Encoder(features, c.width, c.encoder_depth, c.heads)
        self.to_codebook = nn.Linear(c.width, c.code_dim)
        self.to_codebook_uncontrol = nn.Linear(c.width, c.code_dim)
        self.vq = VQ(c.code_dim, c.codebook_size, commitment=c.commitment).requires_grad_(False)
        self.vq_action = VQ(c.code_dim, c.codebook_size, commitment=c.commitment)
        self.patch_up = nn.Linear(features, c.width)
        self.action_up = nn.Linear(c.code_dim, c.width)
        self.action_up_uncontrol = nn.Linear(c.code_dim, c.width)
        self.decoder = Decoder(c.width, features, c.decoder_depth, c.heads)

    @classmethod
    @torch.no_grad()
    def after(cls, stage1: UniVlaStage1) -> UniVla:
        """With stage 1's codebook, for good, and its learned tokens, to start from.

        Everything else starts anew: with encoder and decoder kept, the authors found it unstable.
        """
        model = cls(stage1.config, vision=stage1.vision)
        model.vq.load_state_dict(stage1.vq.state_dict())
        model.action_latent.copy_(stage1.action_latent)
        return model

    def loss(self, batch: ClipBatch) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Squared error of the later frame's features, and the losses of both codebooks."""
        features = pair_features(self.vision, batch)
        task, other = self.infer(features)
        task, other = self.vq_action(task), self.vq(other)
        predicted = self.foresee(task.values, other.values, features[:, 0])
        error = functional.mse_loss(predicted, features[:, 1])
        logged = {"reconstruction": error.detach(), "codebook": task.loss.detach()}
        logged |= dict(task.stats)
        logged |= {f"irrelevant_{name}": value for name, value in other.stats.items()}
        return error + task.loss + other.loss, logged

    def infer(
        self, features: Float[Tensor, "pairs 2 patches features"]
    ) -> tuple[Float[Tensor, "pairs tokens dim"], Float[Tensor, "pairs tokens dim"]]:
        """Task-centric and task-irrelevant tokens of the later frame, before quantisation."""
        tokens = torch.cat([self.action_latent_controllable, self.action_latent], dim=2)
        tokens = tokens.expand(*features.shape[:2], -1, -1)
        encoded = self.encoder(torch.cat([tokens, features], dim=2))[:, 1]
        task, other = encoded[:, : tokens.shape[2]].chunk(2, dim=1)
        return self.to_codebook(task), self.to_codebook_uncontrol(other)

    def foresee(
        self,
        task: Float[Tensor, "batch tokens dim"],
        other: Float[Tensor, "batch tokens dim"],
        features: Float[Tensor, "batch patches features"],
    ) -> Float[Tensor, "batch patches features"]:
        """The later frame's features."""
        codes = [self.action_up(task), self.action_up_uncontrol(other)]
        given = torch.cat([*codes, self.patch_up(features)], dim=1)
        return self.decoder(given)[:, 2 * self.config.tokens :]

    def see(
        self, frames: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch patches features"]:
        return self.vision(frames)

    def decode(
        self,
        values: Float[Tensor, "batch tokens dim"],
        state: Float[Tensor, "batch time 3 height width"],
    ) -> Float[Tensor, "batch patches features"]:
        """The features of the frame that follows by the task's part of the motion alone.

        The rest of the motion is the codes of a still pair of frames.
        """
        features = self.see(state[:, -1])
        _, still = self.infer(torch.stack([features, features], dim=1))
        other = self.vq.decode(nearest_code(still.flatten(0, 1), self.vq.codebook))
        return self.foresee(values, other.unflatten(0, still.shape[:2]), features)

    @torch.no_grad()
    def encode(self, clips: ClipBatch) -> Encoded:
        """The task-centric codes of each adjacent pair of frames."""
        task, _ = self.infer(pair_features(self.vision, clips))
        return nearest(self.vq_action, task, len(clips.frames))

    def spec(self) -> LatentSpec:
        parts = ("vision", "action_latent", "encoder", "to_codebook.", "vq_action.codebook")
        encoder = {k: v for k, v in self.state_dict().items() if k.startswith(parts)}
        return make_spec("univla", self.config, encoder)
