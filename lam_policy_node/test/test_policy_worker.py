"""The policy's process: what it is told, what it answers, and how its end is noticed."""

from __future__ import annotations

import os
import signal
import sys
import time

import cv2
import numpy as np
import pytest

from lam_models.checkpoint import CameraSpec, Spec
from lam_models.command import UserError
from lam_models.geometry import pose, so3_exp
from lam_models.policy.committed import Committed
from lam_models.policy.instant import Config, write_instant
from lam_models.policy.opening import OpenedPolicy, open_policy
from lam_models.sense.align import Aligner, Refusal, Sample, replay
from lam_models.types import ActionChunk, LatentSpec, Observation
from lam_policy_node.observing import (
    Ages,
    Picture,
    observe,
    pictures_of,
    pixels_of,
    rules,
    state_of,
)
from lam_policy_node.policy_process import warm_up
from lam_policy_node.request import Answer, Request, pack_answer, unpack_answer
from lam_policy_node.worker import THREADS, PolicyProcess, half_the_cores

SPACE = LatentSpec("hand/test", "hand", (1, 4))
CAMERAS = (CameraSpec("front", 24, 32), CameraSpec("wrist", 24, 24))
STATE = {"ee": ("x", "y", "z", "rx", "ry", "rz"), "hand": ("thumb", "index")}
OPENER = "test_policy_worker:open_reporting"
PATIENCE_S = 60.0


class Reporting:
    """Answers with what it saw: numbers of the observation take the place of a motion."""

    takes_committed = True

    def __init__(self, opened: OpenedPolicy):
        self._inner = opened.policy

    def act(self, observation: Observation, committed: Committed | None = None) -> ActionChunk:
        if observation.instruction == "fail":
            raise RuntimeError("as told")
        if observation.instruction == "hang":
            time.sleep(1e3)
        chunk = self._inner.act(observation)
        chunk.delta_ee[:] = summary(observation)
        if observation.instruction == "threads":
            chunk.hand[:] = int(os.environ[THREADS])
        if committed is not None:
            chunk.hand[:] = committed.steps
        return chunk


def summary(observation: Observation) -> np.ndarray:
    """Six numbers that hardly agree unless the observations do."""
    weights = [
        float(np.vdot(frame.pixels.reshape(-1), np.arange(frame.pixels.size) % 251)) % 1e6
        for frame in observation.frames.values()
    ]
    stamps = [
        (observation.stamp_ns - frame.stamp_ns) / 1e9 for frame in observation.frames.values()
    ]
    state = [vector @ np.arange(1.0, len(vector) + 1) for vector in observation.state.values()]
    return np.array([*weights, *stamps, *state], np.float32)


def open_reporting(path: str, device: str) -> OpenedPolicy:
    """Called by name in the policy's process."""
    opened = open_policy(path, device)
    return OpenedPolicy(Reporting(opened), opened.spec, opened.weights_hash)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("policies") / "p"
    return str(write_instant(path, SPACE, CAMERAS, state=STATE, config=Config(chunk_steps=3)))


@pytest.fixture
def worker(folder):
    with PolicyProcess(folder, opener=OPENER) as worker:
        yield worker


def picture(seed: int, compressed: bool, height: int = 48, width: int = 64) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    if compressed:
        data = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()
        return Picture(data, "compressed", format="png")
    return Picture(pixels.tobytes(), "rgb8", height, width, 3 * width)


def samples(stamp_ns: int, seed: int = 0) -> dict[str, Sample]:
    rng = np.random.default_rng(seed)
    values = {
        "front": picture(seed, compressed=True),
        "wrist": picture(seed + 1, compressed=False),
        "ee_pose": pose(so3_exp(rng.normal(size=3)), rng.normal(size=3)),
        "joints": {"index": rng.normal(), "other": 0.0, "thumb": rng.normal()},
    }
    received_ns = stamp_ns + 5_000_000
    return {name: Sample(stamp_ns, received_ns, value) for name, value in values.items()}


def ask(worker, request: Request) -> Answer | None:
    worker.ask(request, time.monotonic_ns())
    return wait(worker)


def wait(worker) -> Answer | None:
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s and not worker.death:
        if (answer := worker.poll()) is not None:
            return answer
        time.sleep(0.005)
    return None


def request(number: int, spec, chosen, now_ns: int, instruction: str = "go", committed=None):
    state, pictures = state_of(spec, chosen), pictures_of(spec, chosen)
    return Request(number, now_ns, instruction, state, pictures, committed)


def test_live_and_offline_the_policy_sees_the_same(worker):
    """Through process and memory as through `replay` of what was recorded."""
    spec = worker.load(PATIENCE_S).spec
    aligner = Aligner(rules(spec, Ages()))
    recorded: dict[str, list[Sample]] = {name: [] for name in rules(spec, Ages())}
    ticks_ns, live = [], []
    for index in range(4):
        stamp_ns = 10**18 + index * 33_000_000
        for name, sample in samples(stamp_ns, seed=index).items():
            aligner.push(name, sample.stamp_ns, sample.received_ns, sample.value)
            recorded[name].append(sample)
        ticks_ns.append(stamp_ns + 11_000_000)
        answer = ask(worker, request(index, spec, aligner.observe(ticks_ns[-1]), ticks_ns[-1]))
        assert answer is not None and answer.chunk is not None
        live.append(answer.chunk.delta_ee[0])
    for now_ns, chosen, summed in zip(
        ticks_ns, replay(rules(spec, Ages()), recorded, ticks_ns), live, strict=True
    ):
        assert not isinstance(chosen, Refusal)
        offline = observe(spec, pictures_of(spec, chosen), state_of(spec, chosen), now_ns, "go")
        np.testing.assert_array_equal(summary(offline), summed)


def test_it_tells_of_its_policy_and_of_committed_steps(worker, folder):
    loaded = worker.load(PATIENCE_S)
    assert loaded.spec == open_policy(folder).spec
    assert loaded.takes_committed and loaded.weights_hash and loaded.model_s >= 0.0
    chosen = samples(10**18)
    plan = open_policy(folder).policy.act(Observation(10**18, {}, {}))
    answer = ask(worker, request(7, loaded.spec, chosen, 10**18, committed=Committed(plan, 2)))
    assert answer is not None and answer.chunk is not None
    assert answer.number == 7 and (answer.chunk.hand == 2.0).all()
    assert answer.model_ns > 0 and answer.observed_ns > 0


def test_an_exception_is_an_answer_and_the_process_goes_on(worker):
    spec = worker.load(PATIENCE_S).spec
    answer = ask(worker, request(1, spec, samples(10**18), 10**18, "fail"))
    assert answer is not None and answer.chunk is None
    assert answer.error == "RuntimeError: as told"
    answer = ask(worker, request(2, spec, samples(10**18), 10**18))
    assert answer is not None and answer.chunk is not None


@pytest.mark.parametrize("told", ["", "7"])
def test_it_computes_on_half_the_cores_or_as_it_is_told(folder, monkeypatch, told):
    if told:
        monkeypatch.setenv(THREADS, told)
    else:
        monkeypatch.delenv(THREADS, raising=False)
    with PolicyProcess(folder, opener=OPENER) as worker:
        spec = worker.load(PATIENCE_S).spec
        answer = ask(worker, request(1, spec, samples(10**18), 10**18, "threads"))
    assert answer is not None and answer.chunk is not None
    assert (answer.chunk.hand == int(told or half_the_cores())).all()
    assert 1 <= half_the_cores() < max(2, len(os.sched_getaffinity(0)))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets threads give way")
def test_a_process_that_is_asked_does_not_take_the_core_of_who_asks(worker):
    spec = worker.load(PATIENCE_S).spec
    assert ask(worker, request(1, spec, samples(10**18), 10**18, "look")) is not None
    own = os.sched_getscheduler(0)
    expected = os.SCHED_BATCH if own == os.SCHED_OTHER else own
    assert os.sched_getscheduler(worker.pid) == expected


def test_a_process_that_dies_is_noticed(worker):
    spec = worker.load(PATIENCE_S).spec
    worker.ask(request(1, spec, samples(10**18), 10**18, "hang"), time.monotonic_ns())
    thinking_s = worker.thinking_s(time.monotonic_ns() + 10**9)
    assert thinking_s is not None and thinking_s >= 1.0
    assert worker.poll() is None
    os.kill(worker.pid, signal.SIGKILL)
    assert wait(worker) is None
    assert worker.death == "the policy's process ended (exit code -9)"
    assert worker.poll() is None


def test_a_process_that_hangs_can_be_ended(worker):
    spec = worker.load(PATIENCE_S).spec
    worker.ask(request(1, spec, samples(10**18), 10**18, "hang"), time.monotonic_ns())
    worker.close("it took too long")
    assert worker.death == "it took too long"


@pytest.mark.parametrize(
    ("path", "opener", "said"),
    [
        ("/nowhere", OPENER, "no model folder at /nowhere"),
        ("/nowhere", "no_such_module:x", "ModuleNotFoundError"),
    ],
)
def test_a_policy_that_does_not_load_says_why(path, opener, said):
    worker = PolicyProcess(path, opener=opener)
    with pytest.raises(UserError, match=said):
        worker.load(PATIENCE_S)


def test_waiting_for_a_policy_can_be_given_up(folder):
    worker = PolicyProcess(folder, opener=OPENER)
    with pytest.raises(UserError, match="did not load within"):
        worker.load(PATIENCE_S, give_up=lambda: True)


@pytest.mark.parametrize("codes", [None, np.arange(3, dtype=np.uint16)])
def test_answers_survive_the_wire_bit_by_bit(folder, codes):
    rng = np.random.default_rng(0)
    motion = rng.normal(size=(5, 6)).astype(np.float32)
    motion[0, 0] = np.nan
    hand = rng.normal(size=(5, 4)).astype(np.float32)
    chunk = ActionChunk(123, 0.05, "base", motion, hand, SPACE, codes)
    back = unpack_answer(pack_answer(Answer(3, chunk, 1, 2, 3)))
    assert back.chunk is not None
    np.testing.assert_array_equal(back.chunk.delta_ee, motion)
    np.testing.assert_array_equal(back.chunk.hand, hand)
    assert back.chunk.hand_space == SPACE and back.chunk.start_ns == 123
    if codes is None:
        assert back.chunk.motion_codes is None
    else:
        np.testing.assert_array_equal(back.chunk.motion_codes, codes)


def test_raw_and_compressed_pictures_become_the_same_pixels():
    spec_camera = CAMERAS[0]
    raw, png = (pixels_of(picture(3, way), spec_camera) for way in (False, True))
    np.testing.assert_array_equal(raw, png)
    bgr = picture(3, compressed=False)
    swapped = np.frombuffer(bgr.data, np.uint8).reshape(48, 64, 3)[:, :, ::-1].tobytes()
    other = pixels_of(Picture(swapped, "bgr8", 48, 64, 192), spec_camera)
    np.testing.assert_array_equal(raw, other)


def test_a_missing_joint_is_named():
    spec = Spec(state={"hand": ("thumb", "pinky")})
    with pytest.raises(UserError, match="no joint 'pinky'"):
        state_of(spec, samples(0))


def test_a_policy_prepares_itself_for_what_it_will_see_before_it_acts():
    called = []

    class Preparing:
        def prepare(self, observation: Observation) -> None:
            called.append(("prepare", observation))

        def act(self, observation: Observation) -> None:
            called.append(("act", observation))

    assert warm_up(OpenedPolicy(Preparing(), Spec(cameras=CAMERAS, state=STATE))) >= 0.0
    names = [name for name, _ in called]
    assert names.count("prepare") == 1 and names[0] == "prepare" and "act" in names
    for _, seen in called:
        shapes = {name: frame.pixels.shape for name, frame in seen.frames.items()}
        assert shapes == {"front": (24, 32, 3), "wrist": (24, 24, 3)}
        assert {name: len(x) for name, x in seen.state.items()} == {"ee": 6, "hand": 2}
