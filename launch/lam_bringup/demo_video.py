"""The demo's pictures: captioned side-by-side video, a small GIF and a contact sheet. No ROS.

In: episodes with their JPEG frames as they were received. Out: files in one folder.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from lam_models.data.video import Codec, VideoEncoder
from lam_models.sense.pixels import decode_compressed, fit

Pixels = UInt8[np.ndarray, "height width 3"]

VIEW_WIDTH, VIEW_HEIGHT = 640, 480
MARGIN, GAP, CAPTION_HEIGHT = 16, 8, 116
WIDTH = 2 * VIEW_WIDTH + GAP + 2 * MARGIN
HEIGHT = VIEW_HEIGHT + CAPTION_HEIGHT + MARGIN

BACKGROUND, PANEL = (16, 20, 26), (38, 46, 56)
TEXT, FAINT = (236, 240, 244), (140, 152, 166)
GREEN, RED, BLUE = (74, 201, 126), (235, 94, 85), (92, 158, 240)

CODEC = Codec("libx264", "h264", {"preset": "veryfast", "crf": "21", "g": "60", "threads": "2"})
HOLD_S = 1.0


@dataclass(frozen=True)
class Caption:
    """What is said about an episode. driver: "policy" or "expert"."""

    number: int
    count: int
    task: str
    hand: str
    driver: str
    instruction: str
    seed: int
    succeeded: bool
    elapsed_s: float


@dataclass
class Recording:
    """JPEG frames of both views with their exposure times [ns], oldest first."""

    front: list[tuple[int, bytes]] = field(default_factory=list)
    wrist: list[tuple[int, bytes]] = field(default_factory=list)

    def pairs(self) -> Iterator[tuple[float, bytes, bytes]]:
        """Time since the first pair [s], front view, newest wrist view at or before it."""
        stamps = [stamp_ns for stamp_ns, _ in self.wrist]
        first_ns = None
        for stamp_ns, front in self.front:
            before = bisect_right(stamps, stamp_ns)
            if before == 0:
                continue
            first_ns = stamp_ns if first_ns is None else first_ns
            yield (stamp_ns - first_ns) / 1e9, front, self.wrist[before - 1][1]


Episode = tuple[Caption, Recording]


@lru_cache
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib, so that it is the same everywhere."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name, size)


def _decode(jpeg: bytes) -> Pixels:
    """A view's pixels at the size it is shown."""
    return fit(decode_compressed(jpeg), VIEW_HEIGHT, VIEW_WIDTH, "letterbox")


def words(name: str) -> str:
    """A registry name for people."""
    return name.replace("_", " ")


def _chip(draw: ImageDraw.ImageDraw, right: int, top: int, text: str, colour: tuple) -> None:
    """A rounded label that ends at `right`."""
    font = _font(20, bold=True)
    width = draw.textlength(text, font=font)
    box = (right - width - 32, top, right, top + 38)
    draw.rounded_rectangle(box, radius=19, fill=colour)
    draw.text((right - 16 - width / 2, top + 19), text, BACKGROUND, font, anchor="mm")


def _largest_font(draw: ImageDraw.ImageDraw, text: str, width: int) -> ImageFont.FreeTypeFont:
    """The bold font, 28 px at most, in which the text is no wider than `width`."""
    sizes = (_font(size, bold=True) for size in range(28, 12, -1))
    return next((font for font in sizes if draw.textlength(text, font) <= width), _font(12))


def _frame_around(caption: Caption, done: bool) -> Pixels:
    """Everything but the views, the clock and the progress bar; the same for a whole episode."""
    image = Image.new("RGB", (WIDTH, HEIGHT), BACKGROUND)
    draw = ImageDraw.Draw(image)
    top = MARGIN + VIEW_HEIGHT + 16
    # The chip with the result comes to stand at the right.
    instruction = f"“{caption.instruction}”"
    font = _largest_font(draw, instruction, WIDTH - 2 * MARGIN - 220)
    draw.text((MARGIN + 4, top + 14), instruction, TEXT, font, anchor="lm")
    facts = (words(caption.task), words(caption.hand), f"seed {caption.seed}", caption.driver)
    line = "   ·   ".join(facts)
    draw.text((MARGIN + 4, top + 46), line, FAINT, _font(20))
    if done and caption.succeeded:
        _chip(draw, WIDTH - MARGIN, top, f"success  {caption.elapsed_s:.1f} s", GREEN)
    elif done:
        _chip(draw, WIDTH - MARGIN, top, f"failed  {caption.elapsed_s:.1f} s", RED)
    episode = f"episode {caption.number} of {caption.count}"
    draw.text((WIDTH - MARGIN - 4, top + 46), episode, FAINT, _font(20), anchor="ra")
    return np.array(image)


def _label(canvas: Pixels, left: int, text: str) -> None:
    """The name of a view in its corner."""
    box = canvas[MARGIN + 10 : MARGIN + 40, left + 10 : left + 90]
    dark = Image.fromarray((box * 0.35).astype(np.uint8))
    ImageDraw.Draw(dark).text((40, 15), text, TEXT, _font(17), anchor="mm")
    box[:] = np.asarray(dark)


def compose(around: Pixels, front: bytes, wrist: bytes, progress: float, colour: tuple) -> Pixels:
    """One frame of the video; `progress` 0 to 1 of the episode."""
    canvas = around.copy()
    for left, jpeg, name in ((MARGIN, front, "front"), (MARGIN + VIEW_WIDTH + GAP, wrist, "wrist")):
        canvas[MARGIN : MARGIN + VIEW_HEIGHT, left : left + VIEW_WIDTH] = _decode(jpeg)
        _label(canvas, left, name)
    bar = canvas[HEIGHT - 16 : HEIGHT - 12, MARGIN : WIDTH - MARGIN]
    bar[:] = PANEL
    bar[:, : round(progress * bar.shape[1])] = colour
    return canvas


def frames(caption: Caption, recording: Recording, fps: float) -> Iterator[Pixels]:
    """An episode on a grid of `fps`, its last frame held with the result."""
    pairs = list(recording.pairs())
    if not pairs:
        return
    length_s = pairs[-1][0]
    times = [time_s for time_s, _, _ in pairs]
    running, ended = _frame_around(caption, done=False), _frame_around(caption, done=True)
    colour = GREEN if caption.succeeded else RED
    for i in range(int(length_s * fps) + 1):
        _, front, wrist = pairs[bisect_right(times, i / fps) - 1]
        yield compose(running, front, wrist, i / fps / max(length_s, 1e-9), BLUE)
    last = compose(ended, pairs[-1][1], pairs[-1][2], 1.0, colour)
    for _ in range(round(HOLD_S * fps)):
        yield last


def write_mp4(path: Path, episodes: Iterable[Episode], fps: int) -> int:
    """Every episode in one H.264 video; the number of frames."""
    encoder = VideoEncoder(fps, HEIGHT, WIDTH, CODEC)
    for caption, recording in episodes:
        for pixels in frames(caption, recording, fps):
            encoder.add(pixels)
    if encoder.frame_count:
        path.write_bytes(encoder.finish())
    return encoder.frame_count


def write_gif(path: Path, episodes: Sequence[Episode], fps: int = 8, speed: float = 2.0) -> None:
    """The first episode of each task and hand, small and faster than life, for a README."""
    firsts = {(caption.task, caption.hand): (caption, rec) for caption, rec in reversed(episodes)}
    size = (WIDTH // 2, HEIGHT // 2)
    images = [
        Image.fromarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
        for caption, recording in reversed(firsts.values())
        for pixels in frames(caption, recording, fps / speed)
    ]
    if not images:
        return
    # One palette for all, so that unchanged pixels stay unchanged and compress away.
    palette = _palette(images)
    flat = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    flat[0].save(path, save_all=True, append_images=flat[1:], duration=1000 // fps, loop=0)


def _palette(images: Sequence[Image.Image]) -> Image.Image:
    """256 colours for all images, found on a few of them."""
    picks = images[:: max(1, len(images) // 12)]
    width, height = picks[0].size
    sheet = Image.new("RGB", (width, height * len(picks)))
    for i, image in enumerate(picks):
        sheet.paste(image, (0, i * height))
    return sheet.quantize(256, method=Image.Quantize.MEDIANCUT)


def write_contact_sheet(path: Path, episodes: Sequence[Episode], moments: int = 4) -> None:
    """A PNG with one row an episode: `moments` front views over time, and the last wrist view."""
    width, height, side = 240, 180, 300
    rows = [(caption, list(recording.pairs())) for caption, recording in episodes]
    rows = [(caption, pairs) for caption, pairs in rows if pairs]
    size = (side + (moments + 1) * (width + GAP), 2 * MARGIN + len(rows) * (height + GAP) - GAP)
    image = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(image)
    for row, (caption, pairs) in enumerate(rows):
        top = MARGIN + row * (height + GAP)
        _row_caption(draw, caption, top)
        picks = [pairs[round(i * (len(pairs) - 1) / (moments - 1))][1] for i in range(moments)]
        for column, jpeg in enumerate([*picks, pairs[-1][2]]):
            small = cv2.resize(_decode(jpeg), (width, height), interpolation=cv2.INTER_AREA)
            image.paste(Image.fromarray(small), (side + column * (width + GAP), top))
    image.save(path)


def _row_caption(draw: ImageDraw.ImageDraw, caption: Caption, top: int) -> None:
    """The words at the left of a row of the contact sheet."""
    colour = GREEN if caption.succeeded else RED
    result = f"{'success' if caption.succeeded else 'failed'}  {caption.elapsed_s:.1f} s"
    draw.text((MARGIN, top + 8), f"{caption.number}  {words(caption.task)}", TEXT, _font(20, True))
    draw.text((MARGIN, top + 40), words(caption.hand), FAINT, _font(17))
    draw.text((MARGIN, top + 66), result, colour, _font(17, True))
    for i, line in enumerate(_wrapped(caption.instruction, _font(15), 268)[:4]):
        draw.text((MARGIN, top + 98 + 20 * i), line, FAINT, _font(15))


def _wrapped(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Lines of at most `width` pixels."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
