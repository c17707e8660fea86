"""A folder of plain videos without labels, read like the cameras of a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from lam_models.command import UserError
from lam_models.data.video import VideoFile

_SUFFIXES = {".mp4", ".mkv", ".webm", ".avi", ".mov"}


def video_paths(root: Path) -> list[Path]:
    """Every video below a folder, in order of their paths; at least one."""
    paths = sorted(file for file in root.rglob("*") if file.suffix.lower() in _SUFFIXES)
    if not paths:
        raise UserError(f"no video ({', '.join(sorted(_SUFFIXES))}) below {root}")
    return paths


class VideoFolder:
    """Every video below a folder, in order of their paths; each is one episode.

    Frames are counted as displayed, at each file's own average rate `fps[i]`.
    """

    def __init__(self, path: Path | str) -> None:
        self.paths = video_paths(Path(path))
        self.fps: list[float] = []
        self.lengths: list[int] = []
        for file in self.paths:
            video = VideoFile(file)
            self.fps.append(video.fps)
            self.lengths.append(video.frame_count)
            video.close()
        self._open: tuple[int, VideoFile] | None = None

    def frames(
        self, episode: int, start: int = 0, stop: int | None = None
    ) -> UInt8[np.ndarray, "time height width 3"]:
        """Images start, ... stop - 1 (default: the last) of one video."""
        if self._open is None or self._open[0] != episode:
            if self._open is not None:
                self._open[1].close()
            self._open = (episode, VideoFile(self.paths[episode]))
        return self._open[1].read(start, self.lengths[episode] if stop is None else stop)
