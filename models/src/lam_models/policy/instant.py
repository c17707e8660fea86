"""A policy without a network: plays a motion from its folder, at once.

For checking that a lab's topics are wired as they should be, and for measuring everything but the
model. It looks at no picture, but wants those that its spec names.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from lam_models.checkpoint import CameraSpec, Checkpoint, Spec, origin_now, write
from lam_models.policy.committed import Committed
from lam_models.policy.opening import hand_space
from lam_models.strict_json import from_json, to_json
from lam_models.types import ActionChunk, LatentSpec, Observation

Motion = Float[np.ndarray, "steps 6"]


@dataclass(frozen=True)
class Config:
    """chunk_steps: length of an answer. dt_s: of a step. delay_s: time it pretends to think."""

    chunk_steps: int = 16
    dt_s: float = 0.05
    delay_s: float = 0.0


class Instant:
    """Plays `delta_ee` [steps, 6] (m, rad) round and round, and one hand latent."""

    Config = Config
    takes_committed = True

    def __init__(self, config: Config, spec: Spec, motion: Motion, hand: Float[np.ndarray, " dim"]):
        self._config, self._axes, self._space = config, spec.delta_axes, hand_space(spec)
        self._motion, self._hand = motion.astype(np.float32), hand.astype(np.float32)

    @classmethod
    def open(cls, checkpoint: Checkpoint, device: str) -> Instant:
        """From a folder; no device is needed."""
        config = from_json(Config, checkpoint.config, "config.json")
        steps, dim = len(checkpoint.tensors.get("delta_ee", ())), hand_space(checkpoint.spec).shape
        checkpoint.check_shapes({"delta_ee": (max(steps, 1), 6), "hand": (dim[0] * dim[1],)})
        tensors = checkpoint.tensors
        return cls(config, checkpoint.spec, tensors["delta_ee"], tensors["hand"])

    def act(self, observation: Observation, committed: Committed | None = None) -> ActionChunk:
        """The motion's part that belongs to the observation's time, after the committed steps."""
        if self._config.delay_s:
            time.sleep(self._config.delay_s)
        dt_ns = round(self._config.dt_s * 1e9)
        first = observation.stamp_ns // dt_ns
        steps = self._config.chunk_steps
        delta_ee = self._motion[(first + np.arange(steps)) % len(self._motion)]
        hand = np.tile(self._hand, (steps, 1))
        if committed is not None:
            kept = min(committed.steps, steps, len(committed.plan.delta_ee))
            delta_ee[:kept] = committed.plan.delta_ee[:kept]
            hand[:kept] = committed.plan.hand[:kept]
        return ActionChunk(
            start_ns=observation.stamp_ns,
            dt_s=self._config.dt_s,
            frame=self._axes,
            delta_ee=delta_ee,
            hand=hand,
            hand_space=self._space,
        )


def sine(amplitude_m: float, period_s: float, dt_s: float) -> Motion:
    """Up and down along z of the base, one period; amplitude 0 stands still."""
    steps = max(1, round(period_s / dt_s))
    height_m = amplitude_m * np.sin(2.0 * np.pi * np.arange(steps + 1) / steps)
    motion = np.zeros((steps, 6), np.float32)
    motion[:, 2] = np.diff(height_m)
    return motion


def write_instant(
    path: Path | str,
    space: LatentSpec,
    cameras: tuple[CameraSpec, ...] = (),
    *,
    state: dict[str, tuple[str, ...]] | None = None,
    config: Config = Config(),
    motion: Motion | None = None,
    hand: Float[np.ndarray, " dim"] | None = None,
    overwrite: bool = False,
) -> Path:
    """A folder of this policy; without a motion it stands still, without a hand latent (1, 0, ..).

    state: as Spec.state, to check that proprioception arrives.
    """
    dim = space.shape[0] * space.shape[1]
    latent = np.eye(1, dim)[0] if hand is None else hand
    played = sine(0.0, config.dt_s, config.dt_s) if motion is None else motion
    spec = Spec(
        cameras=cameras,
        state=state or {},
        rate_hz=1.0 / config.dt_s,
        emits=(replace(space, kind="hand"),),
        chunk_steps=config.chunk_steps,
        delta_axes="base",
    )
    content = Checkpoint(
        system="instant",
        config=to_json(config),
        spec=spec,
        origin=origin_now("", "a motion that was written down, not learned"),
        tensors={"delta_ee": played.astype(np.float32), "hand": latent.astype(np.float32)},
    )
    return write(path, content, overwrite)
