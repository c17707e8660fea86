"""The demo's pictures say what happened, and pair the views by exposure time."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from lam_bringup.demo_video import (
    GREEN,
    HEIGHT,
    HOLD_S,
    RED,
    WIDTH,
    Caption,
    Recording,
    frames,
    write_contact_sheet,
    write_gif,
    write_mp4,
)
from lam_models.data.video import VideoFile, check_whole

CAPTION = Caption(
    number=1,
    count=2,
    task="pick_place",
    hand="five_finger",
    driver="policy",
    instruction="put the cube in the bowl",
    seed=7,
    succeeded=True,
    elapsed_s=1.2,
)


def jpeg(level: int) -> bytes:
    """A grey view."""
    return cv2.imencode(".jpg", np.full((48, 64, 3), level, np.uint8))[1].tobytes()


def recording(count: int, rate_hz: float = 20.0, start_ns: int = 10**18) -> Recording:
    """Both views, the wrist's 3 ms after the front's."""
    stamps = [start_ns + round(i * 1e9 / rate_hz) for i in range(count)]
    return Recording(
        front=[(stamp_ns, jpeg(i)) for i, stamp_ns in enumerate(stamps)],
        wrist=[(stamp_ns + 3_000_000, jpeg(i)) for i, stamp_ns in enumerate(stamps)],
    )


def test_each_front_view_goes_with_the_newest_wrist_view_before_it():
    seen = recording(5)
    pairs = list(seen.pairs())
    # The first front view has no wrist view before it.
    assert [front for _, front, _ in pairs] == [view for _, view in seen.front[1:]]
    assert [wrist for _, _, wrist in pairs] == [view for _, view in seen.wrist[:-1]]
    assert [time_s for time_s, _, _ in pairs] == pytest.approx([0.0, 0.05, 0.10, 0.15])


@pytest.mark.parametrize("fps", [10, 30])
def test_the_video_keeps_time_whatever_the_cameras_rate(fps):
    shown = list(frames(CAPTION, recording(41), fps))
    # 41 views at 20 Hz, the first without a partner: 1.95 s.
    assert len(shown) == pytest.approx((1.95 + HOLD_S) * fps, abs=1.5)
    assert {pixels.shape for pixels in shown} == {(HEIGHT, WIDTH, 3)}


@pytest.mark.parametrize(("succeeded", "colour"), [(True, GREEN), (False, RED)])
def test_the_end_shows_the_result(succeeded, colour):
    *_, last = frames(replace(CAPTION, succeeded=succeeded), recording(10), 10)
    assert (last == colour).all(axis=2).sum() > 2000


def test_files_are_whole(tmp_path):
    episodes = [
        (replace(CAPTION, number=1), recording(20)),
        (replace(CAPTION, number=2, task="stack", succeeded=False), recording(20)),
    ]
    count = write_mp4(tmp_path / "demo.mp4", episodes, 20)
    check_whole(tmp_path / "demo.mp4")
    video = VideoFile(tmp_path / "demo.mp4")
    assert (video.frame_count, video.size) == (count, (HEIGHT, WIDTH))
    write_gif(tmp_path / "demo.gif", episodes)
    with Image.open(tmp_path / "demo.gif") as gif:
        assert getattr(gif, "n_frames", 1) > 4
    write_contact_sheet(tmp_path / "sheet.png", episodes)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height > 2 * 180


def test_an_episode_without_images_makes_no_file(tmp_path):
    assert write_mp4(tmp_path / "demo.mp4", [(CAPTION, Recording())], 20) == 0
    write_gif(tmp_path / "demo.gif", [(CAPTION, Recording())])
    assert list(tmp_path.iterdir()) == []
