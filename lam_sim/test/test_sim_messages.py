"""Every translation and back again is the identity; images arrive exactly."""

from __future__ import annotations

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message

from lam_models.command import UserError
from lam_models.geometry import pose, so3_exp
from lam_msgs.msg import EpisodeInfo, WorldTruth
from lam_msgs.srv import ResetWorld
from lam_sim import messages
from lam_sim.commands import CommandLimits, DeltaCommand
from lam_sim.session import EpisodeRequest, Session

STAMP_NS = 1_795_231_583_397_962_824
vector = st.lists(st.floats(-3, 3), min_size=3, max_size=3).map(np.array)


@pytest.fixture(scope="module")
def session() -> Session:
    """An episode with bodies and a scalar."""
    request = EpisodeRequest("open_drawer", "parallel_gripper", seed=4, difficulty=0.5)
    session = Session(request, STAMP_NS, CommandLimits())
    for _ in range(7):
        session.tick()
    return session


@given(stamp_ns=st.integers(0, 2**31 * 10**9 - 1))
def test_times_are_exact(stamp_ns):
    assert messages.time_ns(messages.time_message(stamp_ns)) == stamp_ns


@given(duration_ns=st.integers(0, 10**13))
def test_durations_are_exact_to_the_nanosecond(duration_ns):
    back_ns = messages.time_ns(messages.duration_message(duration_ns * 1e-9))
    assert abs(back_ns - duration_ns) <= 1


@given(turn=vector, position=vector)
def test_poses_come_back(turn, position):
    T = pose(so3_exp(turn), position)
    np.testing.assert_allclose(messages.pose_matrix(messages.pose_message(T)), T, atol=1e-12)


def picture() -> np.ndarray:
    """A smooth picture, as JPEG likes them."""
    rows, columns = np.mgrid[0:48, 0:64]
    return np.stack([rows * 5, columns * 3, 255 - rows * 4], axis=2).astype(np.uint8)


def test_raw_images_are_exact():
    pixels = picture()
    message = messages.raw_image(pixels, STAMP_NS, "front_optical")
    received = deserialize_message(serialize_message(message), type(message))
    assert (received.encoding, received.height, received.width) == ("rgb8", 48, 64)
    assert received.step == 3 * 64
    assert messages.time_ns(received.header.stamp) == STAMP_NS
    assert received.header.frame_id == "front_optical"
    np.testing.assert_array_equal(messages.pixels_of(received), pixels)


def test_a_view_of_an_image_is_sent_like_a_copy():
    turned = picture()[::-1, ::2]
    message = messages.raw_image(turned, STAMP_NS, "front_optical")
    np.testing.assert_array_equal(messages.pixels_of(message), turned)


def test_jpeg_images_are_close_and_red_stays_red():
    message = messages.jpeg_image(picture(), STAMP_NS, "wrist_optical", 90)
    assert "jpeg" in message.format
    assert bytes(message.data[:2]) == b"\xff\xd8"
    received = messages.pixels_of(message).astype(float)
    assert np.abs(received - picture()).mean() < 3.0


def test_an_unreadable_image_is_refused():
    message = messages.raw_image(picture(), STAMP_NS, "front_optical")
    message.encoding = "yuv422"
    with pytest.raises(UserError, match="yuv422"):
        messages.pixels_of(message)


@given(t=vector, w=vector, sequence=st.integers(0, 2**32 - 1))
def test_delta_commands_come_back(t, w, sequence):
    command = DeltaCommand(
        np.concatenate([t, w]), "ee_link", 0.05, STAMP_NS, sequence=sequence, source="teleop"
    )
    back = messages.delta_command(messages.delta_message(command))
    np.testing.assert_array_equal(back.delta_ee, command.delta_ee)
    assert (back.frame, back.duration_s, back.stamp_ns) == ("ee_link", 0.05, STAMP_NS)
    assert (back.sequence, back.source) == (sequence, "teleop")


def test_an_unknown_source_is_said_to_be_unknown():
    message = messages.delta_message(DeltaCommand(np.zeros(6), "base_link", 0.05, STAMP_NS))
    message.source = 77
    assert messages.delta_command(message).source == "unknown"


def test_joint_states_go_by_name():
    message = messages.joint_state(("b", "a"), np.array([0.5, -0.25]), STAMP_NS)
    names, positions = messages.hand_command(message)
    assert names == ("b", "a")
    np.testing.assert_array_equal(positions, [0.5, -0.25])


def test_truth_comes_back(session):
    message = messages.truth_message(session, STAMP_NS)
    received = deserialize_message(serialize_message(message), WorldTruth)
    truth, sent = messages.truth_from(received), session.truth
    assert truth.time_s == sent.time_s == pytest.approx(0.07)
    assert truth.joint_names == sent.joint_names
    assert dict(truth.scalars) == dict(sent.scalars)
    assert list(truth.bodies) == list(sent.bodies)
    np.testing.assert_array_equal(truth.joint_positions, sent.joint_positions)
    np.testing.assert_allclose(truth.T_base_ee, sent.T_base_ee, atol=1e-9)
    for name, T_base_body in sent.bodies.items():
        np.testing.assert_allclose(truth.bodies[name], T_base_body, atol=1e-9)


def test_truth_and_episode_tell_the_same_story(session):
    truth = messages.truth_message(session, STAMP_NS)
    info = messages.episode_info(session, STAMP_NS)
    for field in ("episode_id", "task", "instruction", "end_effector"):
        assert getattr(truth, field) == getattr(info, field) != ""
    assert (info.state, info.seed) == (EpisodeInfo.STATE_RUNNING, 4)
    assert messages.time_ns(info.elapsed) == 70_000_000


def test_an_empty_reset_keeps_task_and_hand():
    current = EpisodeRequest("stack", "four_finger", 3, 0.5, ("background",))
    wanted = messages.requested(ResetWorld.Request(seed=9, difficulty=0.25), current)
    assert wanted == EpisodeRequest("stack", "four_finger", 9, 0.25, ())


def test_trouble_is_a_warning():
    def level(stalls: int, refusals: int) -> bytes:
        health = messages.SimHealth(1.0, (5, 5), (stalls, refusals), "ee_delta: too fast")
        (status,) = messages.diagnostics(health, STAMP_NS).status
        return status.level

    assert level(0, 0) == DiagnosticStatus.OK
    assert level(1, 0) == level(0, 1) == DiagnosticStatus.WARN
