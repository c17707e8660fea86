"""Recordings to datasets: nothing commanded is lost, gaps are gaps, known latencies are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bags import FINGERS, MS, ROBOT, S, Swing, finger, messages, record, types

from lam_models.command import UserError
from lam_models.data.bags.actions import Steps, commanded, obeyed
from lam_models.data.bags.convert import Conversion, Opened, open_recording
from lam_models.data.bags.hand_commands import HandCommands
from lam_models.data.bags.latency import action_pair, camera_pair, content_of, estimate
from lam_models.data.bags.reading import DeltaCommand, Poses, Timing
from lam_models.data.bags.recording import Recording
from lam_models.data.bags.topics import robot_of, topics_of
from lam_models.data.lerobot_read import Dataset
from lam_models.sense.align import StreamRule
from lam_models.sense.observing import joints_of, picture_of, pose_of
from lam_models.stages import from_bags_jobs
from lam_models.stages.from_bags import Converted, Plan, convert
from lam_models.strict_json import to_json

FRONT = "/front/image_raw/compressed"
STILL_POSES = Poses([0], [np.eye(4)])


def opened(folder: Path, **wanted) -> Opened:
    recording = Recording(folder)
    conversion = Conversion(**{"fps": 20, "shortest_s": 0.1, **wanted})
    return open_recording(recording, robot_of(recording.about.robot), conversion)


def converted(root: Path, out: Path, **plan) -> tuple[Converted, list[str]]:
    said: list[str] = []
    wanted = Conversion(fps=20, shortest_s=0.2, size=(16, 16))
    return convert(
        Plan(**{"recordings": root, "out": out, "wanted": wanted, **plan}), said.append
    ), said


def command(start_ms: int, duration_ms: int, x_m: float, source: int = 1) -> DeltaCommand:
    delta = np.array([x_m, 0, 0, 0, 0, 0.1 * x_m])
    return DeltaCommand(start_ms * MS, duration_ms * MS, delta, "base_link", source)


def test_commands_are_neither_lost_nor_counted_twice():
    rng = np.random.default_rng(0)
    commands = [command(int(t), int(rng.integers(5, 90)), float(rng.normal())) for t in
                np.sort(rng.integers(0, 900, 40))]  # fmt: skip
    for period_ms in (20, 33, 50):
        ticks = np.arange(-100, 1200, period_ms) * MS
        steps = Steps(ticks.astype(np.int64), period_ms * MS)
        given = commanded(commands, steps, STILL_POSES, "base_link", "ee_link").delta_ee
        total = sum(one.delta_ee for one in commands)
        np.testing.assert_allclose(given.sum(axis=0), total, atol=1e-9)


def test_a_person_wins_and_marks_the_step():
    mixed = [command(0, 50, 1.0, 2), command(60, 20, 2.0, 1), command(100, 50, 4.0, 2),
             command(700, 50, 8.0, 2)]  # fmt: skip
    assert [one.delta_ee[0] for one in obeyed(mixed)] == [1.0, 2.0, 8.0]
    steps = Steps(np.arange(0, 1000, 50) * MS, 50 * MS)
    given = commanded(obeyed(mixed), steps, STILL_POSES, "base_link", "ee_link")
    assert given.source[[0, 1, 2, 14]].tolist() == [2, 1, 0, 2]


def test_commands_in_the_hands_own_axes_are_turned():
    turned = np.eye(4)
    turned[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    one = DeltaCommand(0, 50 * MS, np.array([1.0, 0, 0, 0, 0, 0]), "ee_link", 1)
    steps = Steps(np.array([0]), 50 * MS)
    given = commanded([one], steps, Poses([0], [turned]), "base_link", "ee_link")
    np.testing.assert_allclose(given.delta_ee[0], [0, 1, 0, 0, 0, 0], atol=1e-12)
    with pytest.raises(UserError, match="'tool7'"):
        strange = DeltaCommand(0, 50 * MS, one.delta_ee, "tool7", 1)
        commanded([strange], steps, STILL_POSES, "base_link", "ee_link")


def test_the_measured_motion_follows_the_commanded_one(tmp_path):
    """Only with the action latency taken into account do the two agree."""
    folder = record(tmp_path, "a", messages(Swing(action_latency_s=0.2)))
    errors = []
    for latency_s in (0.0, 0.2):
        columns = opened(folder, timing=Timing(action_latency_s=latency_s)).columns[0]
        difference = columns["measured.action"] - columns["action"]
        errors.append(np.abs(difference[10:-10, 1]).mean())
    assert errors[1] < 0.3 * errors[0]


def test_hand_targets_are_those_given_before_the_step_is_over(tmp_path):
    made = opened(record(tmp_path, "a", messages(Swing(length_s=1.5))))
    (columns,) = made.columns
    assert made.shapes.joints == FINGERS
    t = (columns["stamp_ns"][:, 0] - made.recording.span_ns[0]) / 1e9
    late = [
        abs(finger(x + 0.05) - value) for x, value in zip(t, columns["action"][:, 6], strict=True)
    ]
    assert max(late) < 0.04 * 0.08  # The target changes by less than 0.04 a second.


@pytest.mark.parametrize(("camera_s", "action_s"), [(0.0, 0.0), (0.085, 0.13)])
def test_known_latencies_are_found(tmp_path, camera_s, action_s):
    swing = Swing(length_s=4.0, camera_latency_s=camera_s, action_latency_s=action_s, size=(32, 48))
    recording = Recording(record(tmp_path, "a", messages(swing)))
    robot = robot_of(ROBOT)
    topics = topics_of(recording, robot)
    content = content_of(recording, robot, topics, HandCommands())
    camera = estimate([camera_pair(recording, content, topics, "front")])
    pair = action_pair(content, "base_link", "ee_link")
    assert pair is not None
    assert abs(camera.latency_s - camera_s) < 0.01 and camera.correlation > 0.8
    assert abs(estimate([pair]).latency_s - action_s) < 0.01


def test_where_nothing_moves_no_latency_is_made_up(tmp_path):
    recording = Recording(record(tmp_path, "a", messages(Swing(length_s=3.0, still_s=9.0))))
    robot = robot_of(ROBOT)
    topics = topics_of(recording, robot)
    content = content_of(recording, robot, topics, HandCommands())
    assert estimate([camera_pair(recording, content, topics, "front")]).reason
    pair = action_pair(content, "base_link", "ee_link")
    assert pair is not None and estimate([pair]).reason == "nothing moves"


def test_no_frame_rests_on_a_sample_older_than_its_limit(tmp_path):
    """A silent camera splits the recording; frames end where its limit is reached."""
    folder = record(tmp_path, "a", messages(Swing(lost={FRONT: (1.0, 1.6)})))
    made = opened(folder)
    assert len(made.pieces) == 2 and "front" in made.notes[0]
    for piece, columns in zip(made.pieces, made.columns, strict=True):
        assert columns["observation.age_s"][:, 0].max() <= 0.15
        assert set(np.diff(piece.steps.ticks_ns)) == {50 * MS}
    before, after = made.pieces
    first_ns = made.recording.span_ns[0]
    assert (before.steps.ticks_ns[-1] - first_ns) / S < 1.0 + 0.15 + 0.05
    assert (after.steps.ticks_ns[0] - first_ns) / S > 1.6 - 0.05
    with pytest.raises(UserError, match=r"'front' is 0.* s old, limit 0\.15"):
        opened(folder, gaps="refuse")
    held = opened(folder, rules={"front": StreamRule(0.0, "hold")})
    assert len(held.pieces) == 1 and held.columns[0]["observation.age_s"][:, 0].max() > 0.4
    dropped = opened(folder, rules={"front": StreamRule(0.15, "drop")})
    ages = dropped.columns[0]["observation.age_s"][:, 0]
    assert len(dropped.pieces) == 1 and (ages == -1.0).any() and ages.max() <= 0.15


def test_what_truly_was_needs_no_arrival(tmp_path):
    """With latencies taken out frames show their own instant, however late the news came."""
    folder = record(tmp_path, "a", messages(Swing(length_s=1.5, transport_s=0.06)))
    served = opened(folder).columns[0]["observation.age_s"]
    true = opened(folder, timing=Timing("true")).columns[0]["observation.age_s"]
    assert true[:, 2].mean() < 0.02 < served[:, 2].mean()
    early = Timing("true", {"front": 0.02})
    assert opened(folder, timing=early).columns[0]["observation.age_s"].min() >= 0.0


def test_idle_ends_are_cut_on_request(tmp_path):
    folder = record(tmp_path, "a", messages(Swing(length_s=3.0, still_s=0.8)))
    whole, busy = opened(folder), opened(folder, trim_idle=True)
    assert abs(whole.frame_count - 60) <= 2 and abs(busy.frame_count - (60 - 2 * 12)) <= 3
    moved = np.abs(whole.columns[0]["action"][:, :6]).sum()
    assert np.abs(busy.columns[0]["action"][:, :6]).sum() == pytest.approx(moved)
    assert busy.columns[0]["next.success"][-1, 0]
    still = record(tmp_path, "still", messages(Swing(length_s=2.0, still_s=9.0)))
    with pytest.raises(UserError, match="nothing moves"):
        opened(still, trim_idle=True)


def test_a_calibrated_camera_stays_so_in_the_dataset(tmp_path):
    pinhole = {"focal": 3.0, "position_m": [1.0, 0.0, 0.5], "turn_rad": [-1.8, -1.3, 0.7]}
    robot = {**ROBOT, "calibration": {"ros__parameters": {"front": pinhole}}}
    record(tmp_path / "bags", "one", messages(Swing(length_s=1.0)))
    converted(tmp_path / "bags", tmp_path / "out", robot=robot)
    features = Dataset.open(tmp_path / "out").schema.features
    kept = features["observation.images.front"].pinhole
    assert kept is not None and to_json(kept) == pinhole
    assert features["observation.images.wrist"].pinhole is None
    robot["calibration"] = {"ros__parameters": {"frnt": pinhole}}
    with pytest.raises(UserError, match="'frnt'"):
        robot_of(robot)


def test_what_cannot_be_converted_is_named_and_does_not_stop_the_rest(tmp_path):
    root = tmp_path / "recordings"
    short = messages(Swing(length_s=1.0))
    record(root, "good", short)
    record(root, "failed", short, outcome="failure")
    record(root, "thrown_away", short, outcome="discarded")
    record(root, "mute", short, instruction="")
    record(root, "open.partial", short)
    record(root, "blind", [one for one in short if one.topic != FRONT])
    torn = record(root, "torn", short) / "torn_0.mcap"
    torn.write_bytes(torn.read_bytes()[: torn.stat().st_size // 2])
    made, said = converted(root, tmp_path / "data")
    reasons = {one.name: one.reason for one in made.left_out}
    for name, word in {
        "failed": "'failure'", "thrown_away": "'discarded'", "mute": "--instruction",
        "open.partial": "not finished", "blind": "'front'", "torn": "repair",
    }.items():  # fmt: skip
        assert word in reasons[name] and any(name in line for line in said)
    dataset = Dataset.open(tmp_path / "data")
    assert len(dataset.episodes) == 1 and dataset.episodes[0].tasks == ("swing to and fro",)
    assert dataset.column("next.success")[-1, 0] and dataset.column("next.success").sum() == 1
    assert not (tmp_path / "data.parts").exists()


def test_an_interrupted_conversion_goes_on(tmp_path, monkeypatch):
    root = tmp_path / "recordings"
    for name in "abc":
        record(root, name, messages(Swing(length_s=0.8)))
    encoded: list[str] = []
    real = from_bags_jobs.encode

    def encode(opened, *rest):
        encoded.append(opened.recording.path.name)
        if len(encoded) == 3:
            raise KeyboardInterrupt
        return real(opened, *rest)

    monkeypatch.setattr(from_bags_jobs, "encode", encode)
    with pytest.raises(KeyboardInterrupt):
        converted(root, tmp_path / "data")
    assert not (tmp_path / "data").exists()
    made, _ = converted(root, tmp_path / "data")
    assert encoded == ["a", "b", "c", "c"] and made.episodes == 3
    whole, _ = converted(root, tmp_path / "again")
    assert (
        Dataset.open(whole.path).column("action").tobytes()
        == Dataset.open(made.path).column("action").tobytes()
    )


def test_messages_are_decoded_as_rosbags_decodes_them(tmp_path):
    sent = messages(Swing(length_s=0.3))
    recording = Recording(record(tmp_path, "a", sent))
    found = list(recording.messages(list(recording.types)))
    assert [one.arrived_ns for one in found] == [one.arrived_ns for one in sent]
    for raw in found:
        theirs = types().deserialize_cdr(raw.data, recording.types[raw.topic])
        assert raw.header_ns == theirs.header.stamp.sec * S + theirs.header.stamp.nanosec
        if raw.topic == "/joint_states":
            assert joints_of(raw.message) == joints_of(theirs)
        if raw.topic == "/ee_pose":
            np.testing.assert_array_equal(pose_of(raw.message), pose_of(theirs))
        if hasattr(theirs, "data"):
            assert bytes(picture_of(raw.message).data) == theirs.data.tobytes()
