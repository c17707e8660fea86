"""A played hand: smooth, endless, its own in every layout, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from keypoints_bench import NOW_NS, frame, player

from lam_models.hands.keypoints import LAYOUTS
from lam_retarget.tracking import Person, Tracker


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tracker_believes_every_frame_and_finds_the_palm(layout, side):
    shown, tracker = player(layout, side, subject=2), Tracker(Person(side))
    for time_s in np.arange(0.0, 6.0, 0.25):
        reading = tracker.look(frame(shown, time_s), NOW_NS).reading
        assert reading is not None and reading.T_sensor_palm is not None
        np.testing.assert_allclose(reading.T_sensor_palm, shown.T_sensor_palm(time_s), atol=1e-9)


def test_it_moves_smoothly_and_begins_again():
    shown = player()
    points = np.stack([shown.points(at / 120) for at in range(3 * 120)])
    steps_m = np.linalg.norm(np.diff(points, axis=0), axis=-1)
    assert 0.0 < steps_m.max() < 0.01
    assert np.linalg.norm(points[0] - points[-1], axis=-1).max() < 0.01
    np.testing.assert_array_equal(shown.points(3.2), shown.points(0.2))


def test_people_differ_and_noise_is_the_trackers():
    first, again, other = player(), player(), player(subject=1)
    np.testing.assert_array_equal(first.joints(0.5), again.joints(0.5))
    assert first.hand.length_m != other.hand.length_m
    noisy = player(noise_m=0.001)
    off = noisy.joints(0.5) - first.joints(0.5)
    assert 0.0002 < off.std() < 0.005
    np.testing.assert_array_equal(noisy.points(0.5), first.points(0.5))
