"""Images as they arrive to images as a policy wants them: RGB, uint8, of a stated size.

The message's fields are taken one by one, so nothing of ROS is needed here. Images shrink in one
way everywhere (`fit`): what a policy was trained on and what it sees must be made alike.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from lam_models.command import UserError, unknown

# Anything with the buffer protocol: bytes, memoryview, array.array, ndarray.
Buffer = Any
Image = UInt8[np.ndarray, "rows columns 3"]
Sized = UInt8[np.ndarray, "{height} {width} 3"]

FITS = ("stretch", "letterbox", "crop")

# Channels a pixel, and how OpenCV turns them into RGB (None: they are).
_ENCODINGS: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
}
_DEPTH_ENCODINGS = ("16UC1", "32FC1", "mono16")
# Up to this factor two neighbours say of an image nearly what the mean of an area does.
_NEARLY_WHOLE = 1.25


def decode_raw(data: Buffer, encoding: str, height: int, width: int, step: int) -> Sized:
    """The pixels of a sensor_msgs/Image with rows of `step` bytes.

    rgb8 is a view of `data` (read-only where that is), every other encoding one copy.
    """
    if encoding in _DEPTH_ENCODINGS:
        raise UserError(f"image encoding '{encoding}' is depth or 16 bit; a colour image is needed")
    if encoding not in _ENCODINGS:
        raise unknown("image encoding", encoding, _ENCODINGS)
    channels, conversion = _ENCODINGS[encoding]
    flat = np.frombuffer(data, np.uint8)
    if step < width * channels or flat.size < step * height:
        raise UserError(
            f"an image of {height}x{width} {encoding} with step {step} needs {step * height} bytes "
            f"and a step of at least {width * channels}; it has {flat.size} bytes"
        )
    rows = flat[: step * height].reshape(height, step)[:, : width * channels]
    pixels = rows.reshape(height, width, channels)  # Splits the last axis: still a view.
    return pixels if conversion is None else cv2.cvtColor(pixels, conversion)


def decode_compressed(data: Buffer, description: str = "") -> Image:
    """The pixels of a sensor_msgs/CompressedImage (JPEG or PNG); `description` is its format."""
    if "compressedDepth" in description:
        raise UserError(f"image format '{description}' is depth; a colour image is needed")
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None:
        raise UserError(f"a compressed image (format '{description}') is not readable JPEG or PNG")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def fit(image: Image, height: int, width: int, how: str = "crop") -> Sized:
    """The image resized to (height, width), by area (`_resize`).

    stretch: both sides on their own. letterbox: whole image, black bars. crop: the largest centred
    part of the wanted aspect ratio.
    """
    if how not in FITS:
        raise unknown("way to fit an image", how, FITS)
    if image.shape[:2] == (height, width):
        return image
    if how == "stretch":
        return _resize(image, height, width)
    if how == "crop":
        return _resize(_centre(image, height, width), height, width)
    scale = min(height / image.shape[0], width / image.shape[1])
    inner_height = max(1, round(image.shape[0] * scale))
    inner_width = max(1, round(image.shape[1] * scale))
    out = np.zeros((height, width, 3), np.uint8)
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    inner = _resize(image, inner_height, inner_width)
    out[top : top + inner_height, left : left + inner_width] = inner
    return out


def _centre(image: Image, height: int, width: int) -> UInt8[np.ndarray, "_ _ 3"]:
    """The largest centred part of the aspect ratio width / height."""
    scale = max(height / image.shape[0], width / image.shape[1])
    rows = min(image.shape[0], max(1, round(height / scale)))
    columns = min(image.shape[1], max(1, round(width / scale)))
    top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
    return image[top : top + rows, left : left + columns]


def _resize(image: Image, height: int, width: int) -> Sized:
    """Means of whole pixels first: with them VGA to 224 takes a sixth of the time."""
    rows, columns = image.shape[:2]
    down, across = max(1, rows // height), max(1, columns // width)
    if down * across > 1 and not (rows % down or columns % across):
        rows, columns = rows // down, columns // across
        image = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    nearly = max(rows / height, columns / width) <= _NEARLY_WHOLE
    how = cv2.INTER_LINEAR if nearly else cv2.INTER_AREA
    return cv2.resize(image, (width, height), interpolation=how)
