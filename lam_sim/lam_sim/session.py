"""Episodes in real time: one world, who may move it, and when an episode is over. No ROS.

In: commands and resets with the present time on the robot's clock. Out: truth a tick, and state.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

import numpy as np
from jaxtyping import Float64

from lam_models.command import UserError
from lam_models.types import Action
from lam_sim.commands import CommandLimits, DeltaCommand, delta_fault, hand_targets, in_base_axes
from lam_sim.pacing import NS_PER_S
from lam_sim.table.control import TICK_HZ, TICK_S
from lam_sim.table.panda import JOINT_NAMES
from lam_sim.table.world import TableWorld, WorldSettings
from lam_sim.tasks import task_class
from lam_sim.tasks.noise import TURN_RAD_PER_M, ActionNoise

State = Literal["running", "succeeded", "failed"]

_TICKS_A_CONTROL_PERIOD = round(TICK_HZ / TableWorld.control_hz)


@dataclass(frozen=True)
class EpisodeRequest:
    """What a scene is a function of."""

    task: str
    end_effector: str
    seed: int
    difficulty: float
    distractors: tuple[str, ...] = ()


class Session:
    """An episode after the other, each in its world. `now_ns` is the robot's clock everywhere.

    action_latency_s: simulated delay between a command's arrival and its beginning.
    noise_m: standard deviation an axis of what is added to each motion that is carried out.
    """

    def __init__(
        self,
        first: EpisodeRequest,
        now_ns: int,
        limits: CommandLimits,
        action_latency_s: float = 0.0,
        noise_m: float = 0.0,
    ) -> None:
        self._limits = limits
        self._action_latency_s = action_latency_s
        self._noise_m = noise_m
        self._teleop_ns: int | None = None
        self._episodes = 0
        self.begin(first, now_ns)

    def begin(self, request: EpisodeRequest, now_ns: int) -> None:
        """Begin a new episode. UserError, and nothing changed, where there is no such scene."""
        if request.seed < 0:
            raise UserError(f"seed is {request.seed}; allowed: 0 and above")
        settings = WorldSettings(
            task=request.task,
            end_effector=request.end_effector,
            difficulty=request.difficulty,
            distractors=request.distractors,
            action_latency_s=self._action_latency_s,
        )
        self.world = TableWorld(settings, request.seed)
        rng = np.random.default_rng([request.seed, zlib.crc32(b"motion noise")])
        self._noise = ActionNoise(rng, self._noise_m, TURN_RAD_PER_M * self._noise_m)
        self.request = request
        self.truth = self.world.truth()
        self.state: State = "running"
        self._time_limit_s = task_class(request.task).time_limit_s
        self._hand = self.world.effector.open.copy()
        self._ticks = 0
        self._episodes += 1
        # The count keeps episodes of one run apart, the day those of several.
        day = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H-%M-%S")
        self.episode_id = f"{day}_{self._episodes:04d}"
        self.started_ns = now_ns

    @property
    def elapsed_s(self) -> float:
        """Simulated time since the reset."""
        return self._ticks * TICK_S

    def obey_delta(self, command: DeltaCommand, now_ns: int) -> str:
        """Begin the motion, or say why not."""
        if fault := delta_fault(command, now_ns, self._limits) or self._yields(command, now_ns):
            return fault
        delta = in_base_axes(command, self.truth.T_base_ee[:3, :3])
        if self._noise_m and delta.any():  # An arm that is told to stand stands.
            delta = self._noise(Action(delta)).delta_ee
        self.world.command(delta, command.duration_s)
        return ""

    def obey_hand(self, names: tuple[str, ...], positions: Float64[np.ndarray, " named"]) -> str:
        """Move the named joints of the hand, or say why not."""
        known = self.truth.joint_names
        self._hand, fault = hand_targets(names, positions, known, self._hand)
        if not fault:
            self.world.command_hand(self._hand)
        return fault

    def tick(self) -> bool:
        """Go on by one tick; True where the episode has just ended."""
        self.world.advance(TICK_S)
        self.truth = self.world.truth()
        self._ticks += 1
        # Tasks ask to be judged once a control period.
        if self._ticks % _TICKS_A_CONTROL_PERIOD or self.state != "running":
            return False
        if self.world.succeeded():
            self.state = "succeeded"
        elif self.elapsed_s > self._time_limit_s:
            self.state = "failed"
        return self.state != "running"

    def joints(self) -> tuple[tuple[str, ...], Float64[np.ndarray, " joints"]]:
        """Names and measured positions [rad or m] of the arm's joints, then the hand's."""
        hand = self.truth.joint_positions
        return (
            JOINT_NAMES + self.truth.joint_names,
            np.concatenate([self.world.arm_positions(), hand]),
        )

    def _yields(self, command: DeltaCommand, now_ns: int) -> str:
        """A person who teleoperates must not have to fight a program."""
        if command.source == "teleop":
            self._teleop_ns = now_ns
            return ""
        hold_ns = self._limits.teleop_hold_s * NS_PER_S
        if self._teleop_ns is not None and now_ns - self._teleop_ns < hold_ns:
            return f"source '{command.source}' yields to teleoperation"
        return ""
