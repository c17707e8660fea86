"""Laws of reading tracked hands: any order, side, place and size gives the same 21 points."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lam_models import geometry
from lam_models.command import UserError
from lam_models.hands import poses as sampling
from lam_models.hands.human import (
    LOWER_RAD,
    POINTS,
    UPPER_RAD,
    draw_subjects,
    hand_from_points,
    mean_hand,
)
from lam_models.hands.keypoints import LAYOUTS, Layout, Reading, calibrated, measure, reader

MEAN = mean_hand()
layouts = st.sampled_from(sorted(LAYOUTS))
sides = st.sampled_from(["left", "right"])
seeds = st.integers(0, 2**32 - 1)


def tracked(points: np.ndarray, layout: Layout, side: str, T_sensor_palm: np.ndarray) -> np.ndarray:
    """What a tracker in another frame would send for a right hand's points in its palm frame."""
    own = points.copy()
    if side == "left":
        own[:, 1] = -own[:, 1]
    # Joints that are none of the 21 points: anything.
    joints = np.full((len(layout.joints), 3), 0.123)
    joints[layout.take] = own
    return joints @ T_sensor_palm[:3, :3].T + T_sensor_palm[:3, 3]


def somewhere(rng: np.random.Generator) -> np.ndarray:
    return geometry.pose(geometry.so3_exp(rng.uniform(-1.8, 1.8, 3)), rng.uniform(-2, 2, 3))


@given(layouts, sides, seeds)
def test_any_order_side_and_place_reads_the_same(layout: str, side: str, seed: int):
    rng = np.random.default_rng(seed)
    points = MEAN.points(rng.uniform(LOWER_RAD, UPPER_RAD))
    T_sensor_palm = somewhere(rng)
    eye = reader(layout, side)
    reading = eye.read(tracked(points, eye.layout, side, T_sensor_palm))
    assert reading.ok and reading.points is not None and reading.T_sensor_palm is not None
    np.testing.assert_allclose(reading.points, points, atol=1e-9)
    np.testing.assert_allclose(reading.T_sensor_palm, T_sensor_palm, atol=1e-9)


def test_the_orders_are_those_of_the_trackers():
    """Numbers as the trackers' own documents have them."""
    openxr, manus = LAYOUTS["openxr"], LAYOUTS["manus"]
    assert [len(LAYOUTS[name].joints) for name in ("mediapipe", "openxr", "manus")] == [21, 26, 25]
    assert openxr.joints[0] == "palm" and openxr.points[6] is None
    at = {name: int(openxr.take[POINTS.index(name)]) for name in POINTS}
    assert (at["wrist"], at["thumb_cmc"], at["thumb_tip"]) == (1, 2, 5)
    assert (at["index_mcp"], at["index_tip"], at["little_mcp"], at["little_tip"]) == (7, 10, 22, 25)
    np.testing.assert_array_equal(manus.take, openxr.take - 1)
    tips = [POINTS.index(f"{f}_tip") for f in ("thumb", "index", "middle", "ring", "little")]
    assert tips == [4, 8, 12, 16, 20]
    np.testing.assert_array_equal(LAYOUTS["mediapipe"].take, np.arange(21))


@given(layouts, st.data())
def test_a_missing_point_is_named_and_a_dropped_joint_is_not_missed(
    layout: str, data: st.DataObject
):
    eye = reader(layout)
    joints = tracked(MEAN.points(np.zeros(21)), eye.layout, "right", np.eye(4))
    number = data.draw(st.integers(0, len(joints) - 1))
    joints[number] = data.draw(st.sampled_from([np.nan, np.inf]))
    name = eye.layout.points[number]
    reading = eye.read(joints)
    assert reading.ok == (name is None)
    if name is not None:
        assert reading.points is None and name in reading.why
    sure = np.ones(len(joints), dtype=bool)
    sure[number] = False
    whole = tracked(MEAN.points(np.zeros(21)), eye.layout, "right", np.eye(4))
    assert eye.read(whole, sure).ok == (name is None)
    assert eye.read(whole, ~sure).why.startswith("missing")
    assert "validity" in eye.read(whole, [[True], [True, False]]).why
    assert "validity" in eye.read(whole, [True]).why


@pytest.mark.parametrize(
    ("positions", "why"),
    [
        (np.zeros((21, 3)), "collapsed"),
        (np.ones((26, 3)), "not \\(21, 3\\)"),
        (np.zeros((0, 3)), "not"),
        ("hand", "not numbers"),
        (None, "not"),
        ([[1.0, 2.0], [3.0]], "not numbers"),
        ([[10**400] * 3] * 21, "not numbers"),
        (np.arange(63.0).reshape(21, 3) * 1e300, "longer than a hand"),
        (np.arange(63.0).reshape(21, 3) * [[0.0, 0.0, 0.002]], "one line"),
        (100.0 * MEAN.points(np.zeros(21)), "longer than a hand"),
        (0.01 * MEAN.points(np.zeros(21)), "collapsed"),
    ],
)
def test_what_is_no_hand_gives_a_reason(positions: object, why: str):
    reading = reader("mediapipe").read(positions)
    assert not reading.ok and reading.T_sensor_palm is None
    assert re.search(why, reading.why), reading.why


@given(
    hnp.arrays(np.float64, st.sampled_from([(21, 3), (25, 3), (26, 3), (3,), (21, 4)])),
    layouts,
    sides,
    hnp.arrays(np.float32, st.sampled_from([(21,), (26,), (1,)])),
)
@settings(max_examples=200)
def test_nothing_a_tracker_sends_raises(
    positions: np.ndarray, layout: str, side: str, valid: np.ndarray
):
    for sure in (None, valid):
        reading = reader(layout, side).read(positions, sure)
        assert reading.ok == (not reading.why)
        if reading.points is not None:
            assert np.isfinite(reading.points).all()


@given(st.integers(0, 100), sides)
@settings(max_examples=10)
def test_a_measured_person_reads_as_the_mean_hand_sized(seed: int, side: str):
    person = draw_subjects(1, seed)[0]
    rng = np.random.default_rng(seed)
    eye = reader("openxr", side)
    frames = [
        tracked(points, eye.layout, side, somewhere(rng))
        for points in person.points(sampling.sample(person, 30, seed).angles)
    ]
    # A third of the frames is lost or noisy: medians stand that.
    for frame in frames[::6]:
        frame[3:9] = np.nan
    measured = measure([eye.read(frame) for frame in frames], "person")
    np.testing.assert_allclose(measured.hand.segments_m, person.segments_m, atol=1e-9)
    again = [calibrated(eye, measured).read(frame) for frame in frames]
    seen = hand_from_points(np.stack([one.points for one in again if one.points is not None]))
    assert abs(seen.length_m / MEAN.length_m - 1.0) < 0.06
    assert measure(again).scale == pytest.approx(1.0)


@given(st.floats(0.6, 1.6))
def test_the_scale_is_that_of_the_hand(scale: float):
    frames = [Reading(scale * MEAN.points(np.zeros(21)))] * 20
    assert measure(frames).scale == pytest.approx(scale)


def test_too_few_frames_and_unknown_names_are_said():
    with pytest.raises(UserError, match=r"3 of 4 frames.*20"):
        measure([Reading(MEAN.points(np.zeros(21)))] * 3 + [Reading(why="lost")])
    with pytest.raises(UserError, match="mediapipe"):
        reader("mediapip")
    with pytest.raises(UserError, match="left"):
        reader("manus", "lft")
    with pytest.raises(UserError, match="scale"):
        reader("manus", "left", 0.0)
