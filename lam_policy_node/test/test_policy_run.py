"""A policy at work without ROS: what is asked, obeyed, held back, and why."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lam_models.checkpoint import CameraSpec, Spec
from lam_models.geometry import apply_delta, pose, so3_exp
from lam_models.types import ActionChunk, LatentSpec
from lam_policy_node.drive import Drive
from lam_policy_node.judging import Absurd, chunk_fault
from lam_policy_node.latency import STAGES, Delay, Latency
from lam_policy_node.observing import Picture
from lam_policy_node.request import Answer, Request
from lam_policy_node.run import Conduct, Run
from lam_policy_node.safety import Limits
from lam_policy_node.splicing import splice
from lam_policy_node.worker import Loaded

SPACE = LatentSpec("hand/test", "hand", (1, 4))
SPEC = Spec(
    cameras=(CameraSpec("front", 24, 32),), emits=(SPACE,), chunk_steps=8, delta_axes="base"
)
MS = 1_000_000
START_NS = 10**18
STILL = Limits(max_acceleration_m_s2=1e3, max_turn_acceleration_rad_s2=1e3)


def chunk(start_ns: int = START_NS, steps: int = 8) -> ActionChunk:
    delta = np.tile(np.array([0.01, 0, 0, 0, 0, 0.02], np.float32), (steps, 1))
    hand = np.tile(np.eye(1, 4, dtype=np.float32), (steps, 1))
    return ActionChunk(start_ns, 0.05, "base", delta, hand, SPACE)


class Thinker:
    """Answers when told to, with a plan from the observation on."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.death = ""
        self.waiting = False
        self.ready: list[Answer] = []
        self._asked_ns = 0

    def thinking_s(self, now_ns: int) -> float | None:
        return (now_ns - self._asked_ns) / 1e9 if self.waiting else None

    def ask(self, request: Request, now_ns: int) -> None:
        self.requests.append(request)
        self.waiting, self._asked_ns = True, now_ns

    def answer(self, **change) -> None:
        request = self.requests[-1]
        said = dataclasses.replace(chunk(request.stamp_ns), **change)
        self.ready.append(Answer(request.number, said))
        self.waiting = False

    def poll(self) -> Answer | None:
        return self.ready.pop() if self.ready else None

    def close(self, reason: str) -> None:
        self.death, self.waiting = reason, False


class Bench:
    """A run, the time, and what went out."""

    def __init__(self, spec: Spec = SPEC, takes_committed: bool = False, **conduct) -> None:
        self.thinker, self.now_ns = Thinker(), START_NS
        loaded = Loaded(spec, "", takes_committed, 0.0)
        self.run = Run(self.thinker, loaded, Conduct(limits=STILL, **conduct))
        self.run.instruct("go")

    def picture(self, age_ms: int = 10) -> str:
        value = Picture(b"", "rgb8")
        return self.run.take("front", self.now_ns - age_ms * MS, self.now_ns, value)

    def tick(self, ms: int = 50):
        """A beat after `ms`."""
        self.now_ns += ms * MS
        planned = self.run.hear(self.now_ns, self.now_ns)
        beat = self.run.beat(self.now_ns, self.now_ns, self.now_ns)
        self.run.ask(self.now_ns, self.now_ns, on_beat=True)
        self.run.sent(beat, self.now_ns, 0.001)
        return planned, beat

    def moving(self) -> None:
        """Ask, answer, move."""
        self.picture()
        self.tick()
        self.thinker.answer()
        self.picture()
        planned, beat = self.tick()
        assert planned is not None and beat.hand is not None


def test_pictures_are_asked_about_once_and_the_answer_is_obeyed_by_time():
    bench = Bench()
    assert bench.run.condition == "holding"
    bench.picture()
    assert bench.tick()[1].motion is None
    (request,) = bench.thinker.requests
    assert request.stamp_ns == bench.now_ns and request.instruction == "go"
    bench.tick()
    assert len(bench.thinker.requests) == 1, "one question at a time"
    bench.thinker.answer()
    planned, beat = bench.tick()
    assert planned is not None and planned.sequence == 1
    assert beat.motion is not None
    np.testing.assert_allclose(beat.motion, [0.01, 0, 0, 0, 0, 0.02], atol=1e-9)
    assert beat.observed_ns == request.stamp_ns - 60 * MS
    assert bench.run.condition == "running"
    for stage in STAGES:
        assert np.isfinite(bench.run.latency.percentiles(stage, bench.now_ns)).all()


def test_a_raw_picture_reaches_the_policy_no_larger_than_it_is_wanted():
    bench = Bench()
    data = np.full((480, 640, 3), 9, np.uint8).tobytes()
    picture = Picture(data, "bgr8", 480, 640, 3 * 640)
    bench.run.take("front", bench.now_ns, bench.now_ns, picture)
    bench.tick()
    _, asked = bench.thinker.requests[-1].pictures["front"]
    assert (asked.encoding, asked.height, asked.width) == ("rgb8", 24, 32)


def test_another_hand_is_steered_where_it_holds_things():
    spec = dataclasses.replace(SPEC, state={"ee": ("x", "y", "z", "rx", "ry", "rz")})
    T_ee_grasp = pose(so3_exp(np.array([0.0, 0.0, 0.4])), np.array([0.01, -0.03, 0.0]))
    T_base_ee = pose(so3_exp(np.array([3.0, 0.2, 0.1])), np.array([0.5, 0.1, 0.2]))
    bench = Bench(spec, T_ee_grasp=T_ee_grasp)

    def look() -> None:
        bench.picture()
        bench.run.take("ee_pose", bench.now_ns, bench.now_ns, T_base_ee)

    look()
    bench.tick()
    bench.thinker.answer()
    look()
    _, beat = bench.tick()
    told = bench.thinker.requests[0].state["ee"]
    T_base_grasp = T_base_ee @ T_ee_grasp
    np.testing.assert_allclose(told[:3], T_base_grasp[:3, 3])
    np.testing.assert_allclose(so3_exp(told[3:]), T_base_grasp[:3, :3], atol=1e-9)
    planned = chunk().delta_ee[0].astype(np.float64)
    assert beat.motion is not None
    moved = apply_delta(T_base_ee, beat.motion) @ T_ee_grasp
    np.testing.assert_allclose(moved, apply_delta(T_base_grasp, planned), atol=1e-7)


def test_after_any_stop_one_zero_and_no_more():
    bench = Bench()
    bench.moving()
    last = bench.run.stop("deactivated", bench.now_ns)
    assert last.motion is not None and last.last and not last.motion.any()
    assert bench.run.stop("again", bench.now_ns).motion is None
    assert bench.tick()[1].motion is None, "the plan is forgotten"


def test_a_stale_picture_stops_and_a_fresh_one_goes_on():
    bench = Bench()
    bench.moving()
    beats = [bench.tick()[1] for _ in range(10)]
    zeros = [index for index, beat in enumerate(beats) if beat.last]
    assert len(zeros) == 1
    assert all(beat.hand is not None for beat in beats[: zeros[0]])
    assert all(beat.motion is None for beat in beats[zeros[0] + 1 :])
    assert "stream 'front' is" in bench.run.drive.reason and bench.run.condition == "holding"
    bench.thinker.ready.clear()
    bench.thinker.waiting = False
    bench.moving()


def test_another_instruction_voids_plan_and_answers():
    bench = Bench()
    bench.moving()
    bench.run.instruct("stop that")
    bench.thinker.answer()
    bench.picture()
    planned, beat = bench.tick()
    assert planned is None and beat.last, "the answer belonged to the old instruction"
    assert bench.thinker.requests[-1].instruction == "stop that"
    bench.run.instruct("")
    bench.thinker.answer()
    bench.picture()
    assert bench.tick()[1].motion is None
    assert bench.run.drive.reason == "no instruction yet"


def test_a_failing_policy_is_a_fault_until_the_next_start():
    bench = Bench()
    bench.moving()
    bench.thinker.answer()
    (answer,) = bench.thinker.ready
    bench.thinker.ready = [Answer(answer.number, None, error="ValueError: no")]
    assert bench.tick()[1].last
    assert bench.run.condition == "fault" and "ValueError: no" in bench.run.fault
    asked = len(bench.thinker.requests)
    bench.picture()
    assert bench.tick()[1].motion is None and len(bench.thinker.requests) == asked
    bench.run.start()
    bench.moving()


def test_a_policy_that_thinks_too_long_is_ended():
    bench = Bench(model_timeout_s=0.3)
    bench.moving()
    for _ in range(8):
        bench.picture()
        bench.tick()
    assert "did not answer for" in bench.run.fault and bench.thinker.death == bench.run.fault


def test_a_policy_is_not_blamed_for_a_slow_simulation():
    bench = Bench(model_timeout_s=0.3)
    bench.moving()
    assert bench.run.hear(bench.now_ns + 10 * MS, bench.now_ns + 10_000 * MS) is None
    assert not bench.run.fault


def test_an_answer_that_comes_too_late_is_counted_and_not_obeyed():
    bench = Bench()
    bench.picture()
    bench.tick()
    bench.now_ns += 500 * MS
    bench.thinker.answer()
    bench.picture()
    assert bench.tick()[1].motion is None
    assert bench.run.late == 1 and bench.run.planned == 0 and not bench.run.fault


def test_real_time_chunking_tells_what_is_committed():
    bench = Bench(strategy="rtc", takes_committed=True)
    bench.moving()
    committed = bench.thinker.requests[-1].committed
    assert committed is not None and committed.plan.start_ns == bench.now_ns
    assert committed.steps == 1, "the answer before took one step"


def test_a_clock_that_is_set_back_voids_everything():
    bench = Bench()
    bench.moving()
    bench.now_ns -= 10**10
    assert bench.tick(0)[1].last
    assert "no sample yet" in bench.run.drive.reason


def test_an_episode_begins_without_what_was_seen_and_planned_before():
    bench = Bench()
    bench.moving()
    asked = len(bench.thinker.requests)
    began_ns = bench.now_ns
    bench.run.begin_episode(began_ns, bench.now_ns)
    bench.thinker.answer()
    bench.picture(age_ms=0)
    planned, beat = bench.tick()
    assert planned is None and beat.last, "the answer is about the scene before"
    assert "no sample yet" in bench.run.drive.reason, "so is a picture of before"
    assert len(bench.thinker.requests) == asked
    bench.moving()
    assert bench.thinker.requests[-1].pictures["front"][0] > began_ns


def test_an_episode_from_the_future_blinds_nobody():
    bench = Bench()
    bench.run.begin_episode(bench.now_ns + 10**12, bench.now_ns)
    bench.tick()
    bench.moving()


def test_stamps_from_the_future_are_refused_by_name():
    assert "front" in Bench().picture(age_ms=-500)


def test_end_effector_axes_become_base_axes():
    spec = dataclasses.replace(SPEC, delta_axes="ee")
    drive = Drive(splice("latest"), STILL, 50 * MS, spec.delta_axes)
    drive.plan.add(chunk(), START_NS, 0)
    drive.observed_ns = START_NS
    turn = so3_exp(np.array([0.0, np.pi / 2, 0.0]))
    beat = drive.beat(START_NS, START_NS, "", pose(turn, np.zeros(3)))
    assert beat.motion is not None
    np.testing.assert_allclose(beat.motion[:3], turn @ [0.01, 0, 0], atol=1e-9)
    np.testing.assert_allclose(beat.motion[3:], turn @ [0, 0, 0.02], atol=1e-9)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"delta_ee": np.full((8, 6), np.nan, np.float32)}, "not finite"),
        ({"hand": np.full((8, 4), np.inf, np.float32)}, "not finite"),
        ({"hand": np.zeros((7, 4), np.float32)}, "shapes"),
        ({"delta_ee": np.zeros((0, 6), np.float32), "hand": np.zeros((0, 4))}, "steps > 0"),
        ({"delta_ee": np.full((8, 6), 0.2, np.float32)}, "wants to move at"),
        ({"hand_space": dataclasses.replace(SPACE, weights_hash="x")}, "its folder says"),
        ({"frame": "ee"}, "axes 'ee'"),
        ({"dt_s": 0.0}, "steps last 0 s"),
        ({"start_ns": START_NS + 5 * 10**9}, "begins 5 s after"),
    ],
)
def test_nonsense_is_named(change, said):
    absurd = Absurd()
    assert chunk_fault(chunk(), SPEC, START_NS, absurd) == ""
    nonsense = object.__new__(ActionChunk)
    for field in dataclasses.fields(ActionChunk):
        value = change.get(field.name, getattr(chunk(), field.name))
        object.__setattr__(nonsense, field.name, value)
    assert said in chunk_fault(nonsense, SPEC, START_NS, absurd)


def test_latency_forgets_what_is_old_and_delay_plans_for_the_worst():
    latency, delay = Latency(window_s=1.0), Delay(memory=3)
    assert np.isnan(latency.percentiles("model", 0)).all()
    latency.note("model", 5.0, 0)
    for index in range(10):
        latency.note("model", 0.01 * index, 2_000_000_000 + index)
    p50, p95 = latency.percentiles("model", 2_000_000_010)
    assert 0.0 <= p50 <= p95 <= 0.09
    for delay_ns in (9, 1, 5, 2):
        delay.note(delay_ns)
    assert delay.longest_ns == 5
