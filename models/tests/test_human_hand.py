"""Laws of the human hand and of its natural poses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lam_models.command import UserError
from lam_models.hands import poses as sampling
from lam_models.hands import postures
from lam_models.hands.anthropometry import HAND_BREADTH_MM, HAND_LENGTH_MM
from lam_models.hands.human import (
    ANGLES,
    FINGERS,
    LOWER_RAD,
    POINTS,
    ROOTS,
    TIPS,
    UPPER_RAD,
    HumanHand,
    angles_from_points,
    angles_of,
    draw_subjects,
    hand_from_points,
    mean_hand,
    within_ranges,
)

MEAN = mean_hand()
FLAT = np.zeros(21)
subjects = st.integers(0, 200).map(lambda seed: draw_subjects(1, seed)[0])
angles_in_range = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).uniform(LOWER_RAD, UPPER_RAD)
)


def bones_m(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.diff(points[1:].reshape(5, 4, 3), axis=1), axis=-1)


@given(subjects, angles_in_range)
def test_bones_keep_their_lengths_and_the_palm_its_shape(hand: HumanHand, angles: np.ndarray):
    points = hand.points(angles)
    np.testing.assert_allclose(bones_m(points), hand.segments_m, atol=1e-12)
    np.testing.assert_allclose(points[ROOTS], hand.roots_m, atol=1e-12)
    np.testing.assert_array_equal(points[0], np.zeros(3))


@given(subjects, angles_in_range)
def test_points_give_their_angles_back(hand: HumanHand, angles: np.ndarray):
    found = angles_from_points(hand.points(angles))
    np.testing.assert_allclose(hand.points(found), hand.points(angles), atol=1e-9)
    thumb = angles[angles_of("thumb")]
    if max(abs(thumb[3]), abs(thumb[3] + thumb[4])) > 0.01:
        np.testing.assert_allclose(found, angles, atol=1e-6)


def test_a_straight_thumb_shows_no_pronation():
    angles = FLAT.copy()
    angles[ANGLES.index("thumb_cmc_pronation")] = 0.3
    np.testing.assert_allclose(angles_from_points(MEAN.points(angles)), FLAT, atol=1e-9)


@given(angles_in_range)
def test_the_jacobian_is_the_finite_difference(angles: np.ndarray):
    step_rad = 1e-6
    steps = step_rad * np.eye(21)
    difference = (MEAN.points(angles + steps) - MEAN.points(angles - steps)) / (2 * step_rad)
    np.testing.assert_allclose(MEAN.jacobian(angles), np.moveaxis(difference, 0, -1), atol=1e-8)
    np.testing.assert_allclose(MEAN.jacobian(angles, TIPS), MEAN.jacobian(angles)[TIPS])


def test_many_hands_are_each_as_alone():
    many = np.random.default_rng(0).uniform(LOWER_RAD, UPPER_RAD, (3, 4, 21))
    together = MEAN.points(many)
    assert together.shape == (3, 4, 21, 3)
    np.testing.assert_allclose(together[2, 1], MEAN.points(many[2, 1]), atol=1e-15)
    np.testing.assert_allclose(
        angles_from_points(together)[1, 3], angles_from_points(together[1, 3]), atol=1e-15
    )


@pytest.mark.parametrize("finger", FINGERS[1:])
def test_signs_are_as_the_frame_says(finger: str):
    tip = POINTS.index(f"{finger}_tip")
    straight = MEAN.points(FLAT)[tip]
    for joint, axis in (("mcp_flexion", 0), ("pip_flexion", 0), ("mcp_abduction", 1)):
        bent = FLAT.copy()
        bent[ANGLES.index(f"{finger}_{joint}")] = 0.3
        assert MEAN.points(bent)[tip][axis] > straight[axis] + 0.003, joint


def test_the_thumb_comes_out_of_the_palm_and_across_it():
    tip, flat = TIPS[0], MEAN.points(FLAT)[TIPS[0]]
    out, across = FLAT.copy(), FLAT.copy()
    out[ANGLES.index("thumb_cmc_abduction")] = 0.3
    across[ANGLES.index("thumb_cmc_flexion")] = 0.3
    assert MEAN.points(out)[tip][0] > flat[0] + 0.01
    assert MEAN.points(across)[tip][1] < flat[1] - 0.01


def test_bent_knuckles_draw_the_tips_together():
    flat, bent = (
        MEAN.points(postures.POSTURES[name])[TIPS[1:], 1] for name in ("flat", "table top")
    )
    assert np.ptp(bent) < 0.8 * np.ptp(flat)
    assert (np.diff(bent) < 0.0).all()  # And no finger crosses another.


def test_the_hand_is_of_the_surveys_size():
    """Published lengths and breadths are of the whole hand; bones are from another study."""
    means = [mean for mean, _ in HAND_LENGTH_MM.values()]
    assert min(means) < 1000 * MEAN.length_m < max(means)
    knuckles_mm = 1000 * np.linalg.norm(MEAN.roots_m[1] - MEAN.roots_m[4])
    assert knuckles_mm < min(mean for mean, _ in HAND_BREADTH_MM.values())


def test_people_differ_as_published():
    people = draw_subjects(300, 0)
    lengths_mm = 1000 * np.array([person.length_m for person in people])
    all_means = [mean for mean, _ in HAND_LENGTH_MM.values()]
    assert abs(lengths_mm.mean() - np.mean(all_means)) < 3.0
    assert 9.0 < lengths_mm.std() < 15.0
    # Proportions differ too: the index is not a fixed share of the hand.
    shares = [person.segments_m[1].sum() / person.length_m for person in people]
    assert np.std(shares) > 0.005
    assert draw_subjects(3, 1)[1].name == "subject_1_1"
    np.testing.assert_array_equal(people[7].segments_m, draw_subjects(8, 0)[7].segments_m)


@given(subjects)
@settings(max_examples=10)
def test_a_hand_is_measured_from_its_points(hand: HumanHand):
    angles = np.random.default_rng(0).uniform(LOWER_RAD, UPPER_RAD, (30, 21))
    seen = hand_from_points(hand.points(angles))
    np.testing.assert_allclose(seen.segments_m, hand.segments_m, atol=1e-12)
    np.testing.assert_allclose(seen.roots_m, hand.roots_m, atol=1e-12)


@pytest.mark.parametrize("name", postures.POSTURES)
def test_a_described_posture_is_one_a_hand_can_take(name: str):
    angles = postures.POSTURES[name]
    np.testing.assert_allclose(within_ranges(angles), angles, atol=1e-12)
    assert postures.natural(MEAN.points(angles))


def test_synergies_are_few_and_carry_most_of_the_change():
    mean, directions = postures.synergies()
    np.testing.assert_allclose(directions @ directions.T, np.eye(postures.SYNERGIES), atol=1e-9)
    change = np.stack(list(postures.POSTURES.values())) - mean
    kept = np.square(change @ directions.T).sum() / np.square(change).sum()
    assert kept > 0.9


@given(subjects, st.integers(0, 1000))
@settings(max_examples=4)
def test_sampled_poses_are_in_range_natural_and_labelled(hand: HumanHand, seed: int):
    poses = sampling.sample(hand, 60, seed)
    assert len(poses) == 60
    assert (poses.angles >= LOWER_RAD - 1e-12).all() and (poses.angles <= UPPER_RAD + 1e-12).all()
    counts = np.bincount(poses.kinds, minlength=len(sampling.KINDS))
    wanted = 60 * np.array([sampling.SHARES[kind] for kind in sampling.KINDS])
    assert np.abs(counts - wanted).max() <= 1.0
    pinch = poses.kinds == sampling.KINDS.index("pinch")
    assert ((poses.fingers >= 1) == pinch).all()
    assert postures.natural(hand.points(poses.angles[~pinch])).all()
    again = sampling.sample(hand, 60, seed)
    np.testing.assert_array_equal(poses.angles, again.angles)
    assert not np.array_equal(poses.angles, sampling.sample(hand, 60, seed + 1).angles)


@given(subjects, st.sampled_from(FINGERS[1:]), st.floats(0.0, sampling.WIDEST_GAP_M))
@settings(max_examples=10)
def test_a_pinch_has_the_stated_gap(hand: HumanHand, finger: str, gap_m: float):
    poses = sampling.pinches(hand, 6, 0, finger, gap_m)
    points = hand.points(poses.angles)
    gaps_m = np.linalg.norm(points[:, TIPS[0]] - points[:, TIPS[FINGERS.index(finger)]], axis=1)
    np.testing.assert_allclose(gaps_m, gap_m, atol=5e-4)
    np.testing.assert_array_equal(poses.sizes_m, gap_m)
    assert all(FINGERS[number] == finger for number in poses.fingers)


@given(subjects, st.floats(*sampling.DIAMETERS_M))
@settings(max_examples=6)
def test_a_wider_ball_opens_the_hand_and_tips_stand_on_it(hand: HumanHand, diameter_m: float):
    points = hand.points(sampling.spheres(hand, 8, 0, diameter_m).angles)
    # No two tips on a ball, each a finger's half thickness off it, are further apart than this.
    apart_m = np.linalg.norm(points[:, TIPS[0]] - points[:, TIPS[2]], axis=1)
    assert (apart_m < diameter_m + 0.02).all()
    assert (apart_m > 0.5 * diameter_m).all()


def test_a_thicker_bar_opens_the_grasp():
    apart_m = []
    for diameter_m in (0.03, 0.05, 0.08):
        points = MEAN.points(sampling.cylinders(MEAN, 20, 0, diameter_m).angles)
        apart_m.append(np.linalg.norm(points[:, TIPS[0]] - points[:, TIPS[2]], axis=1).mean())
    assert apart_m == sorted(apart_m)


def test_what_cannot_be_asked_is_said():
    with pytest.raises(UserError, match=r"0\.2 m.*0\.06"):
        sampling.pinches(MEAN, 1, 0, gap_m=0.2)
    with pytest.raises(UserError, match="index"):
        sampling.pinches(MEAN, 1, 0, finger="indx")
    with pytest.raises(UserError, match="diameter"):
        sampling.cylinders(MEAN, 1, 0, diameter_m=1.0)
    with pytest.raises(UserError, match="pinch"):
        sampling.sample(MEAN, 1, 0, {"pinhc": 1.0})
    with pytest.raises(UserError, match="shares"):
        sampling.sample(MEAN, 1, 0, {"pinch": 0.0})
    assert len(sampling.sample(MEAN, 0, 0)) == 0


def test_a_motion_is_smooth_keeps_the_ranges_and_rests_in_its_poses():
    keys = sampling.sample(MEAN, 5, 3).angles
    rate_hz, seconds = 100.0, 0.8
    motion = sampling.trajectory(keys, rate_hz, seconds)
    np.testing.assert_allclose(motion[::80], keys, atol=1e-12)
    assert (motion >= LOWER_RAD - 1e-12).all() and (motion <= UPPER_RAD + 1e-12).all()
    speed = np.abs(np.diff(motion, axis=0)) * rate_hz
    # A minimum-jerk motion is at its fastest 15/8 of its mean speed.
    assert speed.max() <= 15 / 8 * np.abs(np.diff(keys, axis=0)).max() / seconds + 1e-9
    assert speed[::80].max() < 0.01 * speed.max()
    acceleration = np.abs(np.diff(motion, n=2, axis=0)) * rate_hz**2
    assert acceleration.max() <= 5.8 * np.abs(np.diff(keys, axis=0)).max() / seconds**2
