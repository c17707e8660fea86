"""A policy in the simulated world with a delay that is exact: policy_node's own code, no clock.

Streams, questions, splicing and safety are lam_policy_node's `Run`, the hand is lam_retarget's
`Follower`; only messages and the machine's speed are missing. Time is the world's, in ticks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from lam_models.hands.grasp import grasp_pose
from lam_models.hands.space import Coder, HandSpace
from lam_models.hands.spec_file import read_hand
from lam_models.policy.opening import OpenedPolicy
from lam_policy_node.observing import POSE, Ages, Picture, observe
from lam_policy_node.request import Answer, Request
from lam_policy_node.run import Conduct, Run
from lam_policy_node.safety import Limits
from lam_policy_node.worker import Loaded
from lam_retarget.following import Follower, Manners
from lam_retarget.judging import Heard, Rules
from lam_sim.table.control import TICK_S
from lam_sim.table.world import TableWorld

TICK_NS = round(TICK_S * 1e9)
START_NS = 1_000_000_000_000
CAMERA_NS = 50_000_000

# The simulated robot's, but for the walls: those of the world itself serve here.
LIMITS = Limits(
    max_speed_m_s=0.5,
    max_turn_rad_s=2.6,
    max_acceleration_m_s2=5.0,
    max_turn_acceleration_rad_s2=60.0,
    # An answer that takes long rests on an old picture, which is what is measured here.
    watchdog_s=3.0,
)


@dataclass(frozen=True)
class Way:
    """How a policy is run. delay_ns: from question to answer."""

    strategy: str
    delay_ns: int
    limits: Limits = LIMITS

    def conduct(self, hand: Coder) -> Conduct:
        ages = Ages(*[2.0 * CAMERA_NS / 1e9] * 3)
        grasp = grasp_pose(hand.modality)
        return Conduct(strategy=self.strategy, limits=self.limits, ages=ages, T_ee_grasp=grasp)


class SlowWorker:
    """Stands in for the policy's process: answers exactly `delay_ns` after it was asked."""

    death = ""

    def __init__(self, opened: OpenedPolicy, delay_ns: int) -> None:
        self._opened, self._delay_ns = opened, delay_ns
        self._waiting: tuple[int, Answer] | None = None
        self._asked_ns, self._now_ns = 0, 0

    def thinking_s(self, now_ns: int) -> float | None:
        self._now_ns = now_ns
        return None if self._waiting is None else (now_ns - self._asked_ns) / 1e9

    def ask(self, request: Request, now_ns: int) -> None:
        seen = observe(
            self._opened.spec,
            request.pictures,
            request.state,
            request.stamp_ns,
            request.instruction,
        )
        policy, told = self._opened.policy, request.committed
        chunk = policy.act(seen) if told is None else policy.act(seen, told)
        self._asked_ns, done_ns = now_ns, now_ns + self._delay_ns
        answer = Answer(request.number, chunk, model_ns=self._delay_ns, done_ns=done_ns)
        self._waiting = done_ns, answer

    def due(self, now_ns: int) -> None:
        """Let time pass."""
        self._now_ns = now_ns

    def poll(self) -> Answer | None:
        if self._waiting is None or self._now_ns < self._waiting[0]:
            return None
        (_, answer), self._waiting = self._waiting, None
        return answer

    def close(self, reason: str) -> None:
        self.death = reason


@dataclass
class Trace:
    """seam_m_s, inner_m_s: changes of the planned velocity from beat to beat, where an answer came
    in between and where none did. held: beats without a plan in the midst of motion.
    """

    success: bool = False
    duration_s: float = 0.0
    seam_m_s: list[float] = field(default_factory=list)
    inner_m_s: list[float] = field(default_factory=list)
    beats: int = 0
    held: int = 0
    limited: int = 0


class Loop:
    """Plays episodes of one policy, one hand and one way."""

    def __init__(self, opened: OpenedPolicy, space: HandSpace, hand: str, way: Way) -> None:
        self._opened, self._space, self._way = opened, space, way
        self._hand = read_hand(hand)
        takes_committed = getattr(opened.policy, "takes_committed", False)
        self._loaded = Loaded(opened.spec, "", takes_committed, 0.0)

    def play(self, world: TableWorld, limit_s: float) -> Trace:
        """One episode of a world that has just been reset."""
        follower = Follower(self._hand, self._space, Manners(Rules(max_age_s=10.0)))
        conduct = self._way.conduct(self._space.coder_for(self._hand))
        return _Episode(self._opened, self._loaded, self._way, conduct, follower, world).play(
            limit_s
        )


class _Episode:
    def __init__(
        self,
        opened: OpenedPolicy,
        loaded: Loaded,
        way: Way,
        conduct: Conduct,
        follower: Follower,
        world: TableWorld,
    ) -> None:
        self._world, self._follower = world, follower
        self._cameras = opened.spec.cameras
        self._worker = SlowWorker(opened, way.delay_ns)
        self._run = Run(self._worker, loaded, conduct)
        self._run.instruct(world.instruction)
        self._hand_ns = round(1e9 / follower.spec.command.rate_hz)
        self._said_ns, self._planned_before = 0, 0
        self._velocity: np.ndarray | None = None
        self._trace, self._period_ns = Trace(), conduct.period_ns

    def play(self, limit_s: float) -> Trace:
        trace, now_ns = self._trace, START_NS
        while not trace.success and trace.duration_s < limit_s:
            elapsed_ns = now_ns - START_NS
            self._sense(now_ns, elapsed_ns)
            self._act(now_ns, elapsed_ns % self._period_ns == 0)
            self._move_hand(now_ns)
            self._world.advance(TICK_S)
            now_ns += TICK_NS
            if (now_ns - START_NS) % self._period_ns == 0:
                trace.success = self._world.succeeded()
            trace.duration_s = (now_ns - START_NS) / 1e9
        return trace

    def _sense(self, now_ns: int, elapsed_ns: int) -> None:
        truth = self._world.truth()
        self._run.take(POSE, now_ns, now_ns, truth.T_base_ee)
        self._follower.measured(truth.joint_names, truth.joint_positions.tolist(), now_ns)
        if elapsed_ns % CAMERA_NS:
            return
        for camera in self._cameras:
            pixels = self._world.render(camera.name, camera.height, camera.width)
            picture = Picture(
                pixels.tobytes(), "rgb8", camera.width, camera.height, 3 * camera.width
            )
            self._run.take(camera.name, now_ns, now_ns, picture)

    def _act(self, now_ns: int, on_beat: bool) -> None:
        run = self._run
        self._worker.due(now_ns)
        run.hear(now_ns, now_ns)
        run.ask(now_ns, now_ns, on_beat)
        # Without a delay the answer serves for the very beat at which it was asked for.
        self._worker.due(now_ns)
        run.hear(now_ns, now_ns)
        if run.fault:
            raise RuntimeError(run.fault)
        if not on_beat:
            return
        beat = run.beat(now_ns, now_ns, now_ns)
        self._note(beat.verdict, beat.motion)
        if beat.motion is not None:
            self._world.command(beat.motion, self._period_ns / 1e9)
        if beat.hand is not None:
            space = self._follower.latent
            latent = beat.hand.astype(np.float32)
            words = (space.name, space.space_hash, 1, len(latent), latent, now_ns)
            self._follower.hear(Heard(*words), now_ns)

    def _note(self, verdict: object, motion: np.ndarray | None) -> None:
        trace, planned = self._trace, self._run.planned
        seam, self._planned_before = planned != self._planned_before, planned
        requested = getattr(verdict, "requested", None)
        trace.beats += 1
        if requested is None:
            trace.held += self._velocity is not None
            return
        trace.limited += getattr(verdict, "verdict", "") != "passed"
        velocity = requested[:3] / (self._period_ns / 1e9)
        if self._velocity is not None:
            change = float(np.linalg.norm(velocity - self._velocity))
            (trace.seam_m_s if seam else trace.inner_m_s).append(change)
        self._velocity = velocity

    def _move_hand(self, now_ns: int) -> None:
        follower = self._follower
        if now_ns - self._said_ns < self._hand_ns:
            return
        q = follower.advance(now_ns)
        if q is None:
            return
        self._said_ns = now_ns
        positions = dict(zip(follower.spec.actuated, q, strict=True))
        names = self._world.effector.joint_names
        self._world.command_hand(np.array([positions[name] for name in names]))
