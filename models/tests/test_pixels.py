"""Pixels: every encoding with row padding gives the same RGB; sizes are met as stated."""

from __future__ import annotations

import array

import cv2
import numpy as np
import pytest

from lam_models.command import UserError
from lam_models.sense.observing import COMPRESSED, Picture, pixels_of, shrunk
from lam_models.sense.pixels import decode_compressed, decode_raw, fit

RGB = np.random.default_rng(0).integers(0, 256, (6, 10, 3), np.uint8)
ALPHA = np.full((6, 10, 1), 7, np.uint8)
ENCODED = {
    "rgb8": RGB,
    "bgr8": RGB[..., ::-1],
    "rgba8": np.concatenate([RGB, ALPHA], axis=-1),
    "bgra8": np.concatenate([RGB[..., ::-1], ALPHA], axis=-1),
}


def padded(pixels: np.ndarray, padding: int) -> tuple[bytes, int]:
    """Message bytes and step of an image with `padding` bytes after each row."""
    rows = np.ascontiguousarray(pixels).reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    return rows.tobytes(), rows.shape[1]


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", ENCODED)
def test_every_encoding_gives_the_same_rgb(encoding: str, padding: int):
    data, step = padded(ENCODED[encoding], padding)
    for buffer in (data, memoryview(data), array.array("B", data)):
        np.testing.assert_array_equal(decode_raw(buffer, encoding, 6, 10, step), RGB)


def test_mono_is_repeated():
    data, step = padded(RGB[..., 0], 3)
    pixels = decode_raw(data, "mono8", 6, 10, step)
    np.testing.assert_array_equal(pixels, np.repeat(RGB[..., :1], 3, axis=-1))


@pytest.mark.parametrize("padding", [0, 5])
def test_rgb_is_not_copied(padding: int):
    data, step = padded(RGB, padding)
    buffer = np.frombuffer(data, np.uint8)
    assert np.shares_memory(decode_raw(buffer, "rgb8", 6, 10, step), buffer)


@pytest.mark.parametrize(
    ("encoding", "step", "message"),
    [
        ("16UC1", 20, "'16UC1' is depth or 16 bit"),
        ("rgb9", 30, "Did you mean 'rgb8'"),
        ("rgb8", 29, "a step of at least 30"),
        ("rgb8", 31, "needs 186 bytes"),
    ],
)
def test_bad_images_are_refused(encoding: str, step: int, message: str):
    with pytest.raises(UserError, match=message):
        decode_raw(RGB.tobytes(), encoding, 6, 10, step)


def test_png_is_exact_and_jpeg_near():
    smooth = cv2.resize(RGB, (80, 48), interpolation=cv2.INTER_CUBIC)
    for suffix, tolerance in ((".png", 0), (".jpg", 12)):
        data = cv2.imencode(suffix, smooth[..., ::-1])[1].tobytes()
        assert np.abs(decode_compressed(data).astype(int) - smooth).mean() <= tolerance


def test_unreadable_and_depth_images_are_refused():
    with pytest.raises(UserError, match="not readable JPEG or PNG"):
        decode_compressed(b"not an image", "jpeg")
    with pytest.raises(UserError, match="is depth"):
        decode_compressed(b"", "16UC1; compressedDepth png")


@pytest.mark.parametrize("how", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("size", [(48, 64), (64, 48), (30, 30), (7, 90), (200, 300)])
def test_fit_meets_the_size_and_keeps_a_constant_image(how: str, size: tuple[int, int]):
    image = np.full((*size, 3), 77, np.uint8)
    out = fit(image, 30, 30, how)
    assert out.shape == (30, 30, 3)
    allowed = {0, 77} if how == "letterbox" else {77}
    assert set(np.unique(out)) <= allowed
    assert out[15, 15, 0] == 77


def test_crop_keeps_the_centre_and_letterbox_the_whole():
    image = np.zeros((20, 60, 3), np.uint8)
    image[:, 20:40] = 200
    assert (fit(image, 10, 10, "crop") == 200).all()
    boxed = fit(image, 30, 30, "letterbox")
    assert (boxed[10:20, 10:20] == 200).all()
    assert not boxed[:10].any() and not boxed[20:].any()


def test_area_interpolation_is_the_mean():
    image = np.random.default_rng(1).integers(0, 256, (8, 8, 3), np.uint8)
    means = image.reshape(4, 2, 4, 2, 3).astype(float).mean(axis=(1, 3))
    assert np.abs(fit(image, 4, 4, "stretch") - means).max() <= 0.5


@pytest.mark.parametrize("size", [(480, 640), (720, 1280), (360, 480), (481, 641), (240, 200)])
@pytest.mark.parametrize("side", [192, 224])
def test_an_image_shrinks_to_the_means_of_what_each_pixel_covers(size: tuple[int, int], side: int):
    """Of what is not finer than its pixels, to about a grey level, and nothing is moved."""
    noise = np.random.default_rng(2).integers(0, 256, (*size, 3), np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 2.0 * max(size) / side)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX)
    true = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA).astype(float)
    off = fit(image, side, side, "stretch") - true
    assert np.abs(off).mean() < 1.5
    # Were it moved by a tenth of a pixel, neighbours would show in the difference.
    for axis in (0, 1):
        slope = np.gradient(true, axis=axis)
        assert abs((off * slope).mean() / np.square(slope).mean()) < 0.05


@pytest.mark.parametrize("encoding", list(ENCODED))
@pytest.mark.parametrize("how", ["stretch", "letterbox", "crop"])
def test_a_picture_that_was_shrunk_before_shows_the_same(encoding: str, how: str):
    data, step = padded(ENCODED[encoding], 5)
    picture = Picture(array.array("B", data), encoding, 6, 10, step)
    small = shrunk(picture, 4, 3, how)
    assert (small.height, small.width, len(memoryview(small.data).cast("B"))) == (4, 3, 36)
    np.testing.assert_array_equal(pixels_of(small, 4, 3, how), pixels_of(picture, 4, 3, how))


@pytest.mark.parametrize(
    "picture",
    [
        Picture(b"\xff\xd8", COMPRESSED, format="jpeg"),
        Picture(bytes(180), "rgb8", 6, 10, 30),
        Picture(bytes(100), "rgb8", 600, 1000, 3000),
        Picture(bytes(120000), "16UC1", 200, 300, 600),
    ],
    ids=["compressed", "small", "cut off", "depth"],
)
def test_what_is_compressed_small_or_unreadable_stays_as_it_came(picture: Picture):
    assert shrunk(picture, 12, 12) is picture


def test_an_unknown_fit_is_named():
    with pytest.raises(UserError, match="Did you mean 'crop'"):
        fit(RGB, 2, 2, "corp")
