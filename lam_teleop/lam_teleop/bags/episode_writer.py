"""Writes one episode beside whoever hears its messages.

`put` never waits: messages go into a queue that is bounded by bytes, and a thread packs them into
chunks. The folder is <episode_id>.partial until everything in it is complete. A message is on the
disk at most CHUNK_S and one turn of the thread after it came; `lam bags repair` gets it from there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lam_models.command import UserError
from lam_teleop.bags.mcap_file import McapFile
from lam_teleop.bags.sidecar import (
    PARTIAL,
    BagTopic,
    Episode,
    write_episode,
    write_metadata,
)

CHUNK_BYTES = 1 << 20
CHUNK_S = 0.4
_TURN_S = 0.05
MOST_QUEUED_BYTES = 256 << 20


@dataclass(frozen=True)
class Topic:
    """What is recorded. definition: as ros2msg; hash: of the type, "" where unknown.

    latched: sent once and valid from then on. qos: of its publishers, as metadata.yaml has it.
    """

    name: str
    type: str
    role: str
    definition: str
    hash: str = ""
    qos: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    latched: bool = False


class Heard(NamedTuple):
    """A message: arrival and stamp (arrival where it has none) [ns], CDR bytes."""

    topic: str
    arrived_ns: int
    stamp_ns: int
    data: bytes
    sequence: int


class EpisodeWriter:
    """One episode, from its folder to its last byte.

    fault: why nothing is written any more, "" while all is well. episode: the owner puts a new one
    here as it goes on; the sidecar in the folder follows within CHUNK_S.
    """

    def __init__(
        self, root: Path, episode: Episode, most_queued_bytes: int = MOST_QUEUED_BYTES
    ) -> None:
        self.episode = episode
        self.folder = root / f"{episode.episode_id}{PARTIAL}"
        self.fault = ""
        self._final = root / episode.episode_id
        self._most_queued = most_queued_bytes
        self._queue: deque[Heard | Topic] = deque()
        self._queued_bytes = 0
        self._taken_bytes = 0
        self._topics: dict[str, Topic] = {}
        self._channels: dict[str, int] = {}
        self._closing = threading.Event()
        try:
            self.folder.mkdir(parents=True)
            write_episode(self.folder, episode, durable=True)
            self._file = McapFile(self.folder / f"{episode.episode_id}_0.mcap")
            for folder in (self.folder, root):
                _sync_folder(folder)
        except OSError as error:
            raise UserError(f"cannot record into {self.folder}: {error.strerror}") from error
        self._thread = threading.Thread(target=self._work, name="episode writer", daemon=True)
        self._thread.start()

    @property
    def size_bytes(self) -> int:
        """On the disk."""
        return self._file.size_bytes

    @property
    def waiting_bytes(self) -> int:
        """In the queue: more than a moment's worth says that the disk cannot follow."""
        return self._queued_bytes - self._taken_bytes

    def add_topic(self, topic: Topic) -> None:
        """Before the first message of it."""
        self._queue.append(topic)

    def put(self, heard: Heard) -> bool:
        """Queue a message; False where it is lost: the queue is full or writing has failed."""
        size = len(heard.data)
        if self.fault or self.waiting_bytes + size > self._most_queued:
            return False
        self._queued_bytes += size
        self._queue.append(heard)
        return True

    def close(self) -> Path:
        """Write what is queued, index and sidecar; the finished folder.

        UserError where that fails: the folder stays partial, `lam bags repair` can finish it.
        """
        self._stop()
        try:
            # After a failure the file has been cut back; there may be room for the index then.
            self._file.finish()
            self.account()
            write_metadata(self.folder, self._file.path.name, self._listed(), self._span_ns())
            write_episode(self.folder, self.episode, durable=True)
            self.folder.rename(self._final)
            _sync_folder(self._final.parent)
        except OSError as error:
            self.fault = self.fault or _words(error)
            self._file.abandon()
            raise UserError(
                f"{self.folder} could not be finished ({_words(error)}); make room, then run "
                f"'lam bags repair {self.folder}'"
            ) from error
        return self._final

    def discard(self) -> None:
        """Throw everything away."""
        self._stop()
        self._file.abandon()
        shutil.rmtree(self.folder, ignore_errors=True)

    def account(self) -> None:
        """Bring what the sidecar says was written up to what the file holds."""
        counts = self._file.contents.by_topic()
        for name, facts in self.episode.topics.items():
            facts["written"] = counts.get(name, 0)
            facts["lost"] = facts["expected"] - facts["written"]

    def _stop(self) -> None:
        self._closing.set()
        self._thread.join()

    def _work(self) -> None:
        ended = time.monotonic()
        while True:
            is_last = self._closing.wait(_TURN_S)
            try:
                self._drain()
                now = time.monotonic()
                if now - ended >= CHUNK_S or is_last:
                    self._file.end_chunk()
                    self._file.sync()
                    write_episode(self.folder, self.episode)
                    ended = now
            except OSError as error:
                self.fault = _words(error)
                self._queue.clear()
                return
            if is_last:
                return

    def _drain(self) -> None:
        queue, file = self._queue, self._file
        for _ in range(len(queue)):
            one = queue.popleft()
            if isinstance(one, Topic):
                self._topics[one.name] = one
                metadata = {
                    "offered_qos_profiles": yaml.safe_dump([dict(profile) for profile in one.qos])
                }
                if one.hash:
                    metadata["topic_type_hash"] = one.hash
                self._channels[one.name] = file.add_channel(
                    one.name, one.type, one.definition, metadata
                )
                continue
            channel = self._channels[one.topic]
            file.add(channel, one.arrived_ns, one.stamp_ns, one.data, one.sequence)
            self._taken_bytes += len(one.data)
            if file.pending_bytes >= CHUNK_BYTES:
                file.end_chunk()

    def _listed(self) -> list[BagTopic]:
        counts = self._file.contents.by_topic()
        return [
            BagTopic(topic.name, topic.type, topic.hash, topic.qos, counts.get(topic.name, 0))
            for topic in self._topics.values()
        ]

    def _span_ns(self) -> tuple[int, int]:
        return self._file.contents.span_ns


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _sync_folder(folder: Path) -> None:
    """A new name in a folder survives a loss of power only so; not all systems know it."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
