"""Files of bounded size that are filled one after another while a dataset is written."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lam_models.command import UserError
from lam_models.data import lerobot_layout as layout
from lam_models.data.lerobot_layout import FileLimits
from lam_models.data.video import VideoJoiner


class RollingParquet:
    """Data files of bounded size, one row group an episode."""

    def __init__(self, root: Path, limits: FileLimits) -> None:
        self._root, self._limits = root, limits
        self._ordinal = -1
        self._bytes = 0
        self._file: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> tuple[int, int]:
        if self._file is None or self._bytes + table.nbytes > self._limits.data_bytes:
            self._open_next(table.schema)
        assert self._file is not None
        self._file.write_table(table)
        self._bytes += table.nbytes
        return self._limits.chunk_and_file(self._ordinal)

    def _open_next(self, schema: pa.Schema) -> None:
        self.close()
        self._ordinal += 1
        self._bytes = 0
        chunk_index, file_index = self._limits.chunk_and_file(self._ordinal)
        path = self._root / layout.DATA_PATH.format(chunk_index=chunk_index, file_index=file_index)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = pq.ParquetWriter(path, schema, compression="snappy")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class RollingVideo:
    """Video files of bounded size of one camera."""

    def __init__(self, root: Path, key: str, fps: int, limits: FileLimits) -> None:
        self._root, self._key, self._fps, self._limits = root, key, fps, limits
        self._ordinal = -1
        self._file: VideoJoiner | None = None

    def append(self, mp4: bytes, length: int) -> dict[str, int | float]:
        """Where the episode lies, as its row of the episodes table says."""
        full = self._file and self._file.byte_count + len(mp4) > self._limits.video_bytes
        if self._file is None or full:
            self._file = self._open_next()
        start, stop = self._file.append(mp4)
        if stop - start != length:
            raise UserError(f"video of '{self._key}' has {stop - start} frames, not {length}")
        chunk_index, file_index = self._limits.chunk_and_file(self._ordinal)
        return {
            f"videos/{self._key}/chunk_index": chunk_index,
            f"videos/{self._key}/file_index": file_index,
            f"videos/{self._key}/from_timestamp": start / self._fps,
            f"videos/{self._key}/to_timestamp": stop / self._fps,
        }

    def _open_next(self) -> VideoJoiner:
        self.close()
        self._ordinal += 1
        chunk_index, file_index = self._limits.chunk_and_file(self._ordinal)
        path = self._root / layout.VIDEO_PATH.format(
            video_key=self._key, chunk_index=chunk_index, file_index=file_index
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        return VideoJoiner(path, self._fps)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
