"""Turns simulated episodes into encoded dataset episodes: the work of one data worker."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from lam_models.data.episode import EncodedEpisode, EpisodeEncoder
from lam_models.data.lerobot_layout import Feature, Schema, camera, scalar, vector
from lam_models.geometry import apply_delta, delta_between
from lam_models.types import Action
from lam_sim.interface import World
from lam_sim.rollouts.rollout import Outcome, Stage, Watcher
from lam_sim.tasks.noise import TURN_RAD_PER_M, ActionNoise
from lam_sim.worlds import EpisodeJob


@dataclass(frozen=True)
class RecordingSettings:
    """What is recorded of each episode, and how it is disturbed.

    repeat: control periods a frame.
    noise_m: standard deviation of the translation added to each executed action, per axis.
    linger_s: how long an episode goes on after its success, so that it ends at rest.
    actor: who demonstrates, a name of actors.ACTORS.
    """

    schema: Schema
    repeat: int = 1
    noise_m: float = 0.0
    linger_s: float = 0.0
    codec: str = "h264"
    actor: str = "expert"


@dataclass(frozen=True)
class Recording:
    """An episode of a task, encoded, and how it went."""

    task: str
    outcome: Outcome
    episode: EncodedEpisode


def dataset_schema(
    worlds: list[World], cameras: tuple[str, ...], size: int, repeat: int, with_actions: bool
) -> Schema:
    """What a dataset over these worlds holds; they may differ in their environment state only."""
    first = worlds[0]
    features: dict[str, Feature] = {
        f"observation.images.{name}": camera(size, size, first.pinholes.get(name))
        for name in cameras
    }
    if with_actions:
        environment = dict.fromkeys(name for world in worlds for name in world.environment_names)
        features |= {
            "observation.state": vector(first.state_names),
            "observation.environment_state": vector(tuple(environment)),
            "action": vector(first.action_names),
            "next.success": scalar("bool"),
        }
    return Schema(round(first.control_hz) // repeat, features)


class Recorder(Watcher):
    """Encodes an episode while it happens: one frame every `repeat` control periods.

    Its action is the one that leads to the next frame: deltas composed, the last hand targets.
    """

    def __init__(self, settings: RecordingSettings) -> None:
        self._settings = settings
        self._encoder = EpisodeEncoder(settings.schema, settings.codec)
        self._actions: list[Action] = []
        self._frame: dict[str, Shaped[np.ndarray, "..."]] = {}
        names = settings.schema.features.get("observation.environment_state")
        self._environment_names = names.names if names and names.names else ()

    def before(self, world: World, action: Action) -> None:
        if not self._actions:
            self._frame = self._observe(world)
        self._actions.append(action)

    def after(self, world: World, success: bool) -> None:
        if len(self._actions) == self._settings.repeat:
            self._store(success)

    def finish(self, instruction: str, success: bool) -> EncodedEpisode:
        """The episode, under its instruction."""
        if self._actions:
            self._store(success)
        return self._encoder.finish(instruction)

    def _store(self, success: bool) -> None:
        if "action" in self._settings.schema.features:
            delta = compose([action.delta_ee for action in self._actions])
            flat = np.concatenate([delta, self._actions[-1].hand])
            self._frame["action"] = flat.astype(np.float32)
            self._frame["next.success"] = np.array([success])
        self._encoder.add_frame(self._frame)
        self._actions = []

    def _observe(self, world: World) -> dict[str, Shaped[np.ndarray, "..."]]:
        schema = self._settings.schema
        frame: dict[str, Shaped[np.ndarray, "..."]] = {}
        for key in schema.cameras:
            height, width, _ = schema.features[key].shape
            frame[key] = world.render(key.rpartition(".")[2], height, width)
        if "observation.state" in schema.features:
            frame["observation.state"] = world.proprioception()
            frame["observation.environment_state"] = self._environment(world)
        return frame

    def _environment(self, world: World) -> Shaped[np.ndarray, " n"]:
        """The environment state by name, 0 for what this task does not have."""
        if world.environment_names == self._environment_names:
            return world.environment_state()
        known: Mapping[str, float] = dict(
            zip(world.environment_names, world.environment_state(), strict=True)
        )
        return np.array([known.get(name, 0.0) for name in self._environment_names], np.float32)


def compose(deltas: list[np.ndarray]) -> np.ndarray:
    """The one end-effector delta that does what these do one after another, in base axes."""
    if len(deltas) == 1:
        return deltas[0]
    T = start = np.eye(4)
    for delta in deltas:
        T = apply_delta(T, delta)
    return delta_between(start, T)


class RecordingWork:
    """A data worker: records the demonstrator."""

    def __init__(self, settings: RecordingSettings) -> None:
        self._settings = settings
        self._stage = Stage(settings.actor)

    def __call__(self, job: EpisodeJob) -> Recording:
        recorder = Recorder(self._settings)
        linger_s = self._settings.linger_s
        outcome = self._stage.play(job, recorder, self._noise(job.seed), linger_s)
        episode = recorder.finish(outcome.instruction, outcome.success)
        return Recording(job.choice.task, outcome, episode)

    def close(self) -> None:
        self._stage.close()

    def _noise(self, seed: int) -> ActionNoise | None:
        noise_m = self._settings.noise_m
        rng = np.random.default_rng([seed, zlib.crc32(b"action noise")])
        return ActionNoise(rng, noise_m, TURN_RAD_PER_M * noise_m) if noise_m else None
