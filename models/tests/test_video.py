"""Video: frames come back under their own index, however they are read or joined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lam_models.command import UserError
from lam_models.data.video import (
    CODECS,
    VideoEncoder,
    VideoFile,
    VideoJoiner,
    check_whole,
    codec_named,
)
from lam_models.data.video_folder import VideoFolder

FPS = 20


def numbered(index: int, height: int = 32, width: int = 48) -> np.ndarray:
    """An image that says which one it is: 8 stripes, each one bit of the index."""
    bits = [(index >> bit) & 1 for bit in range(8)]
    row = np.repeat(np.array(bits, np.uint8) * 200 + 20, width // 8)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def number_of(image: np.ndarray) -> int:
    stripes = image.mean(axis=(0, 2)).reshape(8, -1).mean(axis=1)
    return sum(int(value > 120) << bit for bit, value in enumerate(stripes))


def encode(indices: range, codec: str = "h264", height: int = 32) -> bytes:
    encoder = VideoEncoder(FPS, height, 48, CODECS[codec])
    for index in indices:
        encoder.add(numbered(index, height))
    return encoder.finish()


@pytest.fixture(scope="module", params=sorted(CODECS))
def joined(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> VideoFile:
    """Frames 0 ... 59 joined from three files of odd lengths."""
    path = tmp_path_factory.mktemp("video") / "joined.mp4"
    joiner = VideoJoiner(path, FPS)
    spans = [joiner.append(encode(part, request.param)) for part in _PARTS]
    joiner.close()
    assert spans == [(part.start, part.stop) for part in _PARTS]
    return VideoFile(path)


_PARTS = (range(17), range(17, 18), range(18, 60))


def test_a_joined_file_has_its_length_rate_and_size(joined: VideoFile):
    assert (joined.frame_count, joined.fps, joined.size) == (60, FPS, (32, 48))
    check_whole(joined.path)


def test_every_frame_comes_back_in_order(joined: VideoFile):
    assert [number_of(image) for image in joined.read(0, 60)] == list(range(60))


@given(data=st.data())
def test_any_window_in_any_order(joined: VideoFile, data: st.DataObject):
    for _ in range(5):
        start = data.draw(st.integers(0, 59))
        stop = data.draw(st.integers(start + 1, min(start + 12, 60)))
        numbers = [number_of(image) for image in joined.read(start, stop)]
        assert numbers == list(range(start, stop))


def test_reading_beyond_the_end_is_an_index_error(joined: VideoFile):
    with pytest.raises(IndexError, match="frames 59:61 of 60"):
        joined.read(59, 61)


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_encoding_is_deterministic(codec: str):
    assert encode(range(30), codec) == encode(range(30), codec)


def test_quality_of_the_default_codec(tmp_path: Path):
    y, x = np.mgrid[:128, :128]
    clip = [
        (np.stack([np.sin(x / 15 + t), np.cos(y / 20), np.sin((x + y) / 25)], -1) * 60 + 120)
        for t in range(10)
    ]
    encoder = VideoEncoder(FPS, 128, 128, codec_named("h264"))
    for image in clip:
        encoder.add(image.astype(np.uint8))
    path = tmp_path / "quality.mp4"
    path.write_bytes(encoder.finish())
    error = VideoFile(path).read(0, 10).astype(float) - np.stack(clip).astype(np.uint8)
    assert 10 * np.log10(255**2 / (error**2).mean()) > 35


def test_joining_another_size_is_refused(tmp_path: Path):
    joiner = VideoJoiner(tmp_path / "joined.mp4", FPS)
    joiner.append(encode(range(3)))
    with pytest.raises(UserError, match="different size"):
        joiner.append(encode(range(3), height=64))
    joiner.close()


def test_a_truncated_file_is_refused_although_it_opens(tmp_path: Path):
    path = tmp_path / "cut.mp4"
    joiner = VideoJoiner(path, FPS)
    joiner.append(encode(range(50)))
    joiner.close()
    path.write_bytes(path.read_bytes()[:-100])
    assert VideoFile(path).frame_count == 50
    with pytest.raises(UserError, match="truncated"):
        check_whole(path)


def test_bad_requests_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match="Did you mean 'h264'"):
        codec_named("h246")
    with pytest.raises(UserError, match="even height and width, not 31x48"):
        VideoEncoder(FPS, 31, 48, CODECS["h264"])
    with pytest.raises(UserError, match="missing video"):
        VideoFile(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(UserError, match="not a whole video"):
        VideoFile(tmp_path / "text.mp4")


def test_a_folder_of_videos(tmp_path: Path):
    (tmp_path / "more").mkdir()
    (tmp_path / "b.mp4").write_bytes(encode(range(5)))
    (tmp_path / "more/a.mp4").write_bytes(encode(range(10, 20)))
    (tmp_path / "notes.txt").write_text("ignored")
    videos = VideoFolder(tmp_path)
    assert (videos.lengths, videos.fps) == ([5, 10], [FPS, FPS])
    assert [number_of(image) for image in videos.frames(1, 3, 6)] == [13, 14, 15]
    assert len(videos.frames(0)) == 5
    with pytest.raises(UserError, match="no video"):
        VideoFolder(tmp_path / "nothing")
