"""Statistics of pixels come from a histogram, and equal those of the pixels themselves."""

from __future__ import annotations

import numpy as np

from lam_models.data.statistics import PixelHistogram, column_statistics, from_json, to_json

RNG = np.random.default_rng(0)
# Every fifth frame is counted, so each of these is followed by four that are not.
COUNTED = RNG.integers(3, 250, (6, 20, 30, 3), np.uint8)


def histogram_of(images: np.ndarray) -> PixelHistogram:
    histogram = PixelHistogram()
    for image in images:
        histogram.add(image)
        for _ in range(4):
            histogram.add(np.zeros_like(image))
    return histogram


def test_a_histogram_knows_the_statistics_of_its_pixels():
    of = histogram_of(COUNTED).statistics()
    pixels = COUNTED.reshape(-1, 3) / 255.0
    for name, expected in (
        ("min", pixels.min(axis=0)),
        ("max", pixels.max(axis=0)),
        ("mean", pixels.mean(axis=0)),
        ("std", pixels.std(axis=0)),
        ("q01", np.quantile(pixels, 0.01, axis=0, method="inverted_cdf")),
        ("q99", np.quantile(pixels, 0.99, axis=0, method="inverted_cdf")),
    ):
        np.testing.assert_allclose(of[name].ravel(), expected, atol=1e-9, err_msg=name)
    assert of["count"].tolist() == [6]


def test_merging_equals_counting_together():
    merged = histogram_of(COUNTED[:2])
    merged.merge(histogram_of(COUNTED[2:]))
    whole = histogram_of(COUNTED)
    np.testing.assert_array_equal(merged.counts, whole.counts)
    assert merged.frames == whole.frames


def test_one_frame_is_enough():
    of = column_statistics(np.array([[1.0, -2.0]], np.float32))
    assert of["std"].tolist() == [0.0, 0.0]
    assert of["q50"].tolist() == [1.0, -2.0]


def test_json_round_trip():
    before = {"action": column_statistics(RNG.normal(size=(50, 3)))}
    after = from_json(to_json(before))
    for name, value in before["action"].items():
        np.testing.assert_array_equal(after["action"][name], value)
