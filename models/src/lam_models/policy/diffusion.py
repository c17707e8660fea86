"""LAD's policy head: a chunk of hand latents and wrist deltas, sampled by denoising.

Papers: Bauer et al. 2025, LAD (arXiv 2506.14608), stage 4: a diffusion policy predicts latents of
the hand and, beside them, an explicit pose of the wrist. Chi et al. 2023, Diffusion Policy
(2303.04137), in its transformer form; its sizes are our defaults, for LAD publishes neither sizes
nor horizon. Song et al. 2020, DDIM (2010.02502), samples in few steps, or one (distil.py).

Departures. The network predicts the clean chunk and not the noise, as 3D Diffusion Policy
(2403.03954) does: from pure noise, the noise says nothing of the chunk, so that one or two steps
would not do. Modulation (DiT, 2212.09748) tells the noise level in place of a token, and the
condition is read once a chunk into a slot for each step, not in every layer of every step of
sampling. Clean predictions are kept inside the latents' sphere, where Diffusion Policy clips to a
box. The wrist is a delta, not a pose. An average of the weights is left to the training loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor, nn
from torch.nn import functional

from lam_models.nn.adaln import AdaLNBlock
from lam_models.nn.heads import mlp
from lam_models.nn.positions import sinusoids
from lam_models.policy.readouts import DELTA, Chunk, Condition, Loss, Slots, Units, errors

# Level of the noise, then signal and noise in the chunk before a step of sampling and after it.
Step = tuple[int, float, float, float, float]


@dataclass(frozen=True)
class Config:
    """noise_levels: of training. sampling_steps: unless `read` is told another number."""

    condition_width: int = 256
    chunk_steps: int = 16
    latent_dim: int = 16
    width: int = 256
    depth: int = 8
    heads: int = 4
    noise_levels: int = 100
    sampling_steps: int = 10

    @classmethod
    def tiny(cls) -> Config:
        return cls(condition_width=32, chunk_steps=8, width=32, depth=2, heads=2)


class Denoiser(nn.Module):
    """A noisy chunk, its level of noise and the slots, to the clean chunk."""

    levels: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, numbers = config.width, DELTA + config.latent_dim
        self.embed = nn.Linear(numbers, width)
        self.time = mlp(width, [width], width, activation=nn.SiLU)
        self.blocks = nn.ModuleList(
            AdaLNBlock(width, config.heads, width) for _ in range(config.depth)
        )
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, numbers))
        self.register_buffer("levels", sinusoids(config.noise_levels, width), persistent=False)

    def forward(
        self,
        noisy: Chunk,
        level: Int64[Tensor, " batch"] | int,
        slots: Float[Tensor, "batch steps slot_width"],
    ) -> Chunk:
        condition = self.time(self.levels[level]) + slots.mean(1)
        x = self.embed(noisy) + slots
        for block in self.blocks:
            x = block(x, condition)
        return self.head(x)


class Diffusion(nn.Module):
    """A read-out (readouts.py) that samples: it can answer one observation in several ways."""

    Config = Config

    def __init__(self, config: Config) -> None:
        from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

        super().__init__()
        self.config = config
        self.units = Units(config.latent_dim)
        self.slots = Slots(config.chunk_steps, config.condition_width, config.width, config.heads)
        self.denoiser = Denoiser(config)
        self.schedule = DDPMScheduler(config.noise_levels, beta_schedule="squaredcos_cap_v2")

    @property
    def shape(self) -> tuple[int, int]:
        return self.config.chunk_steps, DELTA + self.config.latent_dim

    def loss(self, condition: Condition, chunk: Chunk, generator: Generator | None = None) -> Loss:
        """Squared error of the clean chunk, at a level of noise drawn anew for each row."""
        clean = self.units.enter(chunk)
        chance = {"generator": generator, "device": clean.device}
        level = torch.randint(self.config.noise_levels, (len(clean),), **chance)
        noise = torch.randn(clean.shape, **chance)
        # Any whole numbers will do, whatever the declared type says.
        noisy = self.schedule.add_noise(clean, noise, level)  # pyright: ignore[reportArgumentType]
        found = self.denoiser(noisy, level, self.slots(condition))
        return functional.mse_loss(found, clean), errors(found, clean)

    def read(self, condition: Condition, noise: Chunk, steps: int | None = None) -> Chunk:
        return self.units.leave(self.denoise(condition, noise, steps))

    def denoise(self, condition: Condition, noise: Chunk, steps: int | None = None) -> Chunk:
        """DDIM's deterministic way from pure noise to a chunk, in the networks' units.

        The loop of diffusers' scheduler, unrolled: levels and factors are plain numbers, so that
        nothing waits for the device.
        """
        slots, noisy, clean = self.slots(condition), noise, noise
        for level, signal, spread, next_signal, next_spread in plan(
            self.config.noise_levels, steps or self.config.sampling_steps
        ):
            clean = self.units.inside(self.denoiser(noisy, level, slots))
            noisy = next_signal * clean + next_spread * (noisy - signal * clean) / spread
        return clean


@torch.compiler.assume_constant_result
def plan(noise_levels: int, steps: int) -> tuple[Step, ...]:
    """DDIM's levels, evenly spaced from pure noise down, with their factors.

    The last step leaves no noise. ValueError unless there are 1 to `noise_levels` steps.
    """
    if not 1 <= steps <= noise_levels:
        raise ValueError(f"{steps} steps of sampling: must be 1 to {noise_levels}")
    return _plan(noise_levels, steps)


@cache
def _plan(noise_levels: int, steps: int) -> tuple[Step, ...]:
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    schedule = DDIMScheduler(
        noise_levels, beta_schedule="squaredcos_cap_v2", timestep_spacing="trailing"
    )
    schedule.set_timesteps(steps)
    levels = schedule.timesteps.tolist()
    kept = schedule.alphas_cumprod[schedule.timesteps].tolist()
    return tuple(
        (level, now**0.5, (1.0 - now) ** 0.5, after**0.5, (1.0 - after) ** 0.5)
        for level, now, after in zip(levels, kept, [*kept[1:], 1.0], strict=True)
    )
