"""A policy at work: streams in, questions to its process, plan, commands out. No ROS, no clock.

`now_ns` is the robot's clock, on which stamps are; `mono_ns` is the machine's monotonic one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from lam_models.command import UserError
from lam_models.geometry import Pose
from lam_models.sense.align import Aligner, Refusal, Sample
from lam_models.types import ActionChunk
from lam_policy_node.asking import Asking
from lam_policy_node.drive import Beat, Drive
from lam_policy_node.judging import Absurd, chunk_fault
from lam_policy_node.latency import Delay, Latency
from lam_policy_node.observing import POSE, Ages, pictures_of, rules, shrunk, state_of
from lam_policy_node.plan import step_ns
from lam_policy_node.request import Answer, Request
from lam_policy_node.safety import Limits
from lam_policy_node.splicing import commit, splice
from lam_policy_node.worker import Loaded

# A clock that is corrected by less goes on.
_TURNED_BACK_NS = 10_000_000

Condition = Literal["running", "holding", "fault"]


class Worker(Protocol):
    """The part of PolicyProcess that is used."""

    @property
    def death(self) -> str: ...
    def thinking_s(self, now_ns: int) -> float | None: ...
    def ask(self, request: Request, now_ns: int) -> None: ...
    def poll(self) -> Answer | None: ...
    def close(self, reason: str) -> None: ...


@dataclass(frozen=True)
class Conduct:
    """How a policy is run.

    most_hz: questions a second at most, 0: at every picture. T_ee_grasp: of the hand that is bolted
        on (lam_models.hands.grasp); None where the policy steers the end effector itself.
    """

    period_ns: int = 50_000_000
    strategy: str = "latest"
    ensemble_decay_per_s: float = 0.0
    most_hz: float = 0.0
    model_timeout_s: float = 2.0
    needs_instruction: bool = True
    ages: Ages = field(default_factory=Ages)
    limits: Limits = field(default_factory=Limits)
    absurd: Absurd = field(default_factory=Absurd)
    T_ee_grasp: Pose | None = None


@dataclass(frozen=True)
class Planned:
    """An answer that became part of the plan. observed_ns: its newest exposure."""

    chunk: ActionChunk
    observed_ns: int
    model_ns: int
    sequence: int


@dataclass
class _Question:
    number: int = 0
    stamp_ns: int = 0
    observed_ns: int = 0
    committed_until_ns: int = 0
    asked_mono_ns: int = 0


class Run:
    """One activation after the other; `start` begins each."""

    def __init__(self, worker: Worker, loaded: Loaded, conduct: Conduct) -> None:
        self._worker, self._spec, self._conduct = worker, loaded.spec, conduct
        self._cameras = {camera.name: camera for camera in loaded.spec.cameras}
        self._grasp = conduct.T_ee_grasp
        needs_pose = loaded.spec.delta_axes == "ee" or self._grasp is not None
        needs_pose = needs_pose or bool(conduct.limits.workspace_lower_m)
        self.rules = rules(loaded.spec, conduct.ages, needs_pose)
        self._takes_committed = loaded.takes_committed
        self._numbers = 0
        self.instruction = ""
        self.start()

    def start(self) -> None:
        """Forget what was; only the instruction stays."""
        conduct = self._conduct
        self._aligner = Aligner(self.rules)
        self._asking = Asking(self._cameras, conduct.most_hz)
        plan = splice(conduct.strategy, conduct.ensemble_decay_per_s)
        axes, period_ns = self._spec.delta_axes, conduct.period_ns
        self.drive = Drive(plan, conduct.limits, period_ns, axes, self._grasp)
        self.latency, self._delay = Latency(), Delay()
        self.fault, self.planned, self.late = "", 0, 0
        self.received = dict.fromkeys(self.rules, 0)
        self._newest_ns: dict[str, int] = {}
        self._question, self._like = _Question(), None
        self._valid_from = self._numbers + 1
        self._unused: tuple[int, int] | None = None
        self._now_ns = 0
        self._since_ns: int | None = None

    @property
    def condition(self) -> Condition:
        """running, holding (drive.reason says why) or fault (only `start` ends it)."""
        if self.fault:
            return "fault"
        return "holding" if self.drive.reason else "running"

    def ages_s(self, now_ns: int) -> dict[str, float]:
        """Age of each stream's newest sample, infinite where none came."""
        never = float("-inf")
        return {name: (now_ns - self._newest_ns.get(name, never)) / 1e9 for name in self.rules}

    def take(self, stream: str, stamp_ns: int, received_ns: int, value: Any) -> str:
        """Take a sample; what is wrong with it, one sentence, or ""."""
        if stream not in self.rules or (self._since_ns is not None and stamp_ns <= self._since_ns):
            return ""
        camera = self._cameras.get(stream)
        # To shrink a picture takes less time than to hand it on whole.
        value = value if camera is None else shrunk(value, camera)
        rejection = self._aligner.push(stream, stamp_ns, received_ns, value)
        if rejection is not None:
            return str(rejection)
        self.received[stream] += 1
        self._newest_ns[stream] = max(stamp_ns, self._newest_ns.get(stream, stamp_ns))
        if camera is not None:
            self.latency.note("transport", (received_ns - stamp_ns) / 1e9, received_ns)
            self._asking.news(stream)
        return ""

    def instruct(self, instruction: str) -> None:
        """Do something else from now on: plan and answers that are for the old one are void."""
        if instruction != self.instruction:
            self.instruction = instruction
            self.drive.plan.clear()
            self._valid_from = self._numbers + 1

    def begin_episode(self, began_ns: int, now_ns: int) -> None:
        """Another scene: what was seen, planned or asked before `began_ns` is of the one before."""
        self._forget()
        # A stamp that lies ahead of this clock must not make the node blind.
        self._since_ns = min(began_ns, now_ns)

    def hear(self, now_ns: int, mono_ns: int) -> Planned | None:
        """Take an answer into the plan, if one has come, and notice what has gone wrong."""
        if now_ns < self._now_ns - _TURNED_BACK_NS:
            # The clock was set back: all that is known lies in the future.
            self._forget()
        self._now_ns = now_ns
        answer = self._worker.poll()
        planned = None if answer is None else self._obey(answer, now_ns, mono_ns)
        if self._worker.death:
            self._fail(self._worker.death)
        thinking_s = self._thinking_s(now_ns, mono_ns)
        if thinking_s > self._conduct.model_timeout_s:
            reason = f"the policy did not answer for {thinking_s:.2g} s"
            self._worker.close(reason)
            self._fail(reason)
        return planned

    def ask(self, now_ns: int, mono_ns: int, on_beat: bool) -> None:
        """Ask for the next plan, where that is due and can be."""
        idle = self._worker.thinking_s(mono_ns) is None and not self.fault
        told = bool(self.instruction) or not self._conduct.needs_instruction
        if not (idle and told and self._asking.wanted(now_ns, on_beat)):
            return
        samples = self._aligner.observe(now_ns)
        if not isinstance(samples, Refusal):
            self._ask(samples, now_ns, mono_ns)

    def beat(self, beat_ns: int, now_ns: int, mono_ns: int) -> Beat:
        """What goes out on a beat of the control grid."""
        samples = self._aligner.observe(now_ns)
        obstacle = self.fault or (str(samples) if isinstance(samples, Refusal) else "")
        if not obstacle and self._conduct.needs_instruction and not self.instruction:
            obstacle = "no instruction yet"
        pose = None
        if not isinstance(samples, Refusal) and POSE in samples:
            pose = samples[POSE].value
        beat = self.drive.beat(beat_ns, now_ns, obstacle, pose)
        if beat.hand is not None:
            self.latency.note("late", (now_ns - beat_ns) / 1e9, now_ns)
            if self._unused is not None:
                self.latency.note("grid", (mono_ns - self._unused[0]) / 1e9, now_ns)
        return beat

    def sent(self, beat: Beat, now_ns: int, publish_s: float) -> None:
        """What a beat asked for has left, after `publish_s`."""
        if beat.hand is None:
            return
        self.latency.note("publish", publish_s, now_ns)
        if self._unused is not None:
            self.latency.note("total", (now_ns - self._unused[1]) / 1e9, now_ns)
            self._unused = None

    def stop(self, reason: str, now_ns: int) -> Beat:
        """The last beat of an activation."""
        return self.drive.halt(reason, now_ns)

    def _forget(self) -> None:
        """Nothing seen, nothing planned; an answer that is on its way is void."""
        self._aligner.clear()
        self._newest_ns.clear()
        self._since_ns = None
        self._asking.forget()
        self.drive.plan.clear()
        self._valid_from = self._numbers + 1

    def _thinking_s(self, now_ns: int, mono_ns: int) -> float:
        """For how long the policy has been at its question, by whichever clock says less.

        Where time is simulated, a machine that is busy with other things is no fault of the policy.
        """
        thinking_s = self._worker.thinking_s(mono_ns)
        return min(thinking_s or 0.0, (now_ns - self._question.stamp_ns) / 1e9)

    def _fail(self, reason: str) -> None:
        self.fault = self.fault or reason

    def _ask(self, samples: Mapping[str, Sample], now_ns: int, mono_ns: int) -> None:
        self._numbers += 1
        committed, until_ns = None, now_ns
        if self._conduct.strategy == "rtc" and self._like is not None:
            like, delay_ns = self._like, self._delay.longest_ns
            committed = commit(self.drive.plan, like, now_ns, delay_ns)
            until_ns += committed.steps * step_ns(like) if committed else 0
        try:
            request = Request(
                self._numbers,
                now_ns,
                self.instruction,
                state_of(self._spec, samples, self._grasp),
                pictures_of(self._spec, samples),
                committed if self._takes_committed else None,
            )
            self._worker.ask(request, mono_ns)
        except UserError as error:
            self._fail(str(error))
            return
        observed_ns = self._exposure(samples, now_ns)
        self._question = _Question(self._numbers, now_ns, observed_ns, until_ns, mono_ns)
        self._asking.asked(now_ns)
        if self._spec.cameras:
            arrived_ns = max(samples[camera.name].received_ns for camera in self._spec.cameras)
            self.latency.note("wait", (now_ns - arrived_ns) / 1e9, now_ns)

    def _exposure(self, samples: Mapping[str, Sample], now_ns: int) -> int:
        stamps = [samples[camera.name].stamp_ns for camera in self._spec.cameras]
        return max(stamps, default=now_ns)

    def _obey(self, answer: Answer, now_ns: int, mono_ns: int) -> Planned | None:
        question = self._question
        if answer.number < self._valid_from or self.fault:
            return None
        chunk = answer.chunk
        if chunk is None:
            self._fail(f"the policy failed: {answer.error}")
            return None
        if fault := chunk_fault(chunk, self._spec, question.stamp_ns, self._conduct.absurd):
            self._fail(fault)
            return None
        self._like = chunk
        self._delay.note(now_ns - question.stamp_ns)
        on_its_way_ns = answer.done_ns - answer.model_ns - question.asked_mono_ns
        self.latency.note("align", on_its_way_ns / 1e9, now_ns)
        self.latency.note("model", answer.model_ns / 1e9, now_ns)
        self.latency.note("splice", (mono_ns - answer.done_ns) / 1e9, now_ns)
        if not self.drive.plan.add(chunk, now_ns, question.committed_until_ns):
            self.late += 1
            return None
        self.planned += 1
        self.drive.observed_ns = question.observed_ns
        self._unused = (mono_ns, question.observed_ns)
        return Planned(chunk, question.observed_ns, answer.model_ns, self.planned)
