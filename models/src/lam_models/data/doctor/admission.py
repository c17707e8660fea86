"""Opens a dataset for examination: every column, and small pictures of every camera.

Pictures lie half a second apart, at most 40 an episode, first and last among them; `every_frame`
decodes all frames, which finds damage in the ones between at the cost of minutes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int64

from lam_models.command import UserError
from lam_models.data import lerobot_layout as layout
from lam_models.data.doctor.finding import Finding, listed
from lam_models.data.doctor.patient import Look, OnEpisodes, Patient, Rows, VideoFacts
from lam_models.data.doctor.thumbnails import ThumbnailReader
from lam_models.data.lerobot_layout import Info
from lam_models.data.lerobot_read import Episode, read_column, read_episodes, read_json

_SAMPLE_S = 0.5
_MOST_SAMPLES = 40
_FEWEST_SAMPLES = 4
_CURE_FILE = "Copy the file again from where the dataset came from, or remove these episodes."


def admit(path: Path, every_frame: bool = False, on_episodes: OnEpisodes | None = None) -> Patient:
    """The dataset at `path`, as far as it can be read.

    on_episodes: told how many looks (an episode of a camera) were taken since the last call.
    Raises UserError where not even info.json or the episodes table can be read.
    """
    info_path = path / layout.INFO_PATH
    info = layout.info_from_json(read_json(info_path), str(info_path))
    episodes = read_episodes(path, info)
    damage: list[Finding] = []
    columns = _columns(info, episodes, damage)
    videos: list[VideoFacts] = []
    looks = {
        camera: _looks((info, episodes, camera), every_frame, damage, videos, on_episodes)
        for camera in info.schema.cameras
    }
    return Patient(
        path=path,
        info=info,
        episodes=episodes,
        columns=columns,
        looks=looks,
        videos=tuple(videos),
        tasks=_tasks(path, damage),
        statistics=_statistics(path, damage),
        damage=tuple(damage),
    )


def sample_frames(length: int, fps: int) -> Int64[np.ndarray, " samples"]:
    """The frames of an episode of this length that are looked at."""
    wanted = round((length - 1) / (_SAMPLE_S * fps)) + 1
    count = min(length, max(_FEWEST_SAMPLES, min(wanted, _MOST_SAMPLES)))
    return np.unique(np.linspace(0, length - 1, count).round().astype(np.int64))


def _columns(
    info: Info, episodes: tuple[Episode, ...], damage: list[Finding]
) -> dict[str, tuple[Rows | None, ...]]:
    keys = [*info.schema.columns, *layout.AUTOMATIC]
    found: dict[str, list[Rows | None]] = {key: [None] * len(episodes) for key in keys}
    for path, members in _by_file(episodes):
        first = min(episodes[position].start for position in members)
        numbers = tuple(episodes[position].index for position in members)
        for key in keys:
            try:
                values = read_column(path, key)
            except (UserError, pa.ArrowException, OSError, ValueError) as error:
                damage.append(_unreadable(path, key, str(error), numbers))
                if not path.is_file():
                    break  # Once is enough.
                continue
            values.flags.writeable = False
            for position in members:
                episode = episodes[position]
                rows = values[episode.start - first : episode.stop - first]
                found[key][position] = rows if len(rows) == episode.length > 0 else None
    return {key: tuple(parts) for key, parts in found.items()}


def _by_file(episodes: tuple[Episode, ...]) -> Iterator[tuple[Path, list[int]]]:
    members: dict[Path, list[int]] = {}
    for position, episode in enumerate(episodes):
        members.setdefault(episode.data, []).append(position)
    yield from members.items()


def _unreadable(path: Path, key: str, error: str, numbers: tuple[int, ...]) -> Finding:
    name = "damaged data file" if path.is_file() else "missing file"
    said = f"{path} (column '{key}') cannot be read: {error}. It holds {listed(numbers)}."
    return Finding(name, said, _CURE_FILE, numbers)


def _looks(
    of: tuple[Info, tuple[Episode, ...], str],
    every_frame: bool,
    damage: list[Finding],
    videos: list[VideoFacts],
    on_episodes: OnEpisodes | None,
) -> tuple[Look | None, ...]:
    info, episodes, camera = of
    found: list[Look | None] = [None] * len(episodes)
    members: dict[Path, list[int]] = {}
    for position, episode in enumerate(episodes):
        members.setdefault(episode.videos[camera].path, []).append(position)
    for path, positions in members.items():
        numbers = tuple(episodes[position].index for position in positions)
        try:
            reader = ThumbnailReader(path, info.schema.fps)
        except UserError as error:
            damage.append(_damaged_video(camera, str(error), numbers))
            continue
        facts = VideoFacts(camera, path, reader.frame_count, reader.rate, reader.size, numbers)
        videos.append(facts)
        for position in positions:
            try:
                found[position] = _look(reader, episodes[position], camera, info, every_frame)
            except UserError as error:
                damage.append(_damaged_video(camera, str(error), (episodes[position].index,)))
            if on_episodes:
                on_episodes(1)
        reader.close()
    return tuple(found)


def _look(
    reader: ThumbnailReader, episode: Episode, camera: str, info: Info, every_frame: bool
) -> Look | None:
    """None where the file ends before the episode does, which is a finding of its own."""
    span = episode.videos[camera]
    frames = sample_frames(episode.length, info.schema.fps) if episode.length > 0 else None
    if frames is None or not 0 <= span.start < span.start + episode.length <= reader.frame_count:
        return None
    if every_frame:
        every = np.arange(episode.length)
        return Look(frames, reader.read((span.start + every).tolist())[frames])
    return Look(frames, reader.read((span.start + frames).tolist()))


def _damaged_video(camera: str, error: str, numbers: tuple[int, ...]) -> Finding:
    said = f"Camera '{camera}', {listed(numbers)}: {error}."
    return Finding("damaged video", said, _CURE_FILE, numbers)


def _tasks(path: Path, damage: list[Finding]) -> dict[int, str] | None:
    """Instruction by task_index; the text is the table's index, or a column called task."""
    where = path / layout.TASKS_PATH
    try:
        table = pq.read_table(where)
        texts = next(name for name in table.column_names if name != "task_index")
        pairs = zip(table["task_index"].to_pylist(), table[texts].to_pylist(), strict=True)
        return {int(index): str(text or "") for index, text in pairs}
    except (pa.ArrowException, OSError, KeyError, StopIteration) as error:
        said = f"{where} cannot be read ({error}): no frame has an instruction."
        damage.append(
            Finding(
                "missing file" if not where.is_file() else "damaged data file",
                said,
                "Write the table again from the instructions of the episodes.",
            )
        )
        return None


def _statistics(path: Path, damage: list[Finding]) -> dict:
    where = path / layout.STATS_PATH
    try:
        return dict(read_json(where))
    except UserError as error:
        cure = "Compute the statistics again; training scales its inputs by them."
        damage.append(Finding("missing statistics", f"{error}.", cure))
        return {}
