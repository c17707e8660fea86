"""An MCAP file that is whole up to its last chunk at every instant.

mcap.writer ends a chunk by its size only and cannot go on after a failed write. Here a chunk ends
when the caller says so, goes to the system in one piece, and after a failure the file is cut back
to what was complete; `finish` then gives it an index like any other. Times in ns.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import zstandard
from mcap.data_stream import RecordBuilder
from mcap.opcode import Opcode
from mcap.records import (
    Channel,
    Chunk,
    ChunkIndex,
    DataEnd,
    Footer,
    Header,
    MessageIndex,
    Schema,
    Statistics,
    SummaryOffset,
)

MAGIC = b"\x89MCAP0\r\n"
PROFILE, LIBRARY = "ros2", "lam_teleop"
COMPRESSION = "zstd"
# Pictures come compressed and joints are little: a higher level costs time and wins nothing.
_LEVEL = 1
# Opcode, length of the rest, channel, sequence, log time, publish time.
_MESSAGE = struct.Struct("<BQHIQQ")
_MESSAGE_REST = 22
_WORD = 0xFFFFFFFF


@dataclass
class Contents:
    """What the index at the end of a file is made of. counts: messages of each channel."""

    schemas: dict[int, Schema] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    chunks: list[ChunkIndex] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)

    @property
    def message_count(self) -> int:
        return sum(self.counts.values())

    @property
    def span_ns(self) -> tuple[int, int]:
        """Log time of the first message and of the last; zeros without any."""
        chunks = [chunk for chunk in self.chunks if chunk.message_end_time]
        if not chunks:
            return 0, 0
        first = min(chunk.message_start_time for chunk in chunks)
        return first, max(chunk.message_end_time for chunk in chunks)

    def by_topic(self) -> dict[str, int]:
        """Number of messages by topic."""
        return {c.topic: self.counts.get(number, 0) for number, c in self.channels.items()}


class McapFile:
    """Appends to a new file at `path`; not for several threads at once.

    Every method that writes raises OSError where the system refuses (a full disk, say).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.contents = Contents()
        # Unbuffered: what has been written survives the death of this process.
        self._file = path.open("xb", buffering=0)
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._chunk = _OpenChunk()
        self._end = 0
        self._write(MAGIC + _header())

    @property
    def size_bytes(self) -> int:
        """Of what is complete in the file."""
        return self._end

    @property
    def pending_bytes(self) -> int:
        """Of messages that wait for the end of their chunk, uncompressed."""
        return len(self._chunk.data)

    def add_channel(
        self, topic: str, type_name: str, definition: str, metadata: Mapping[str, str]
    ) -> int:
        """A new topic; the number of its channel. definition: concatenated, as ros2msg."""
        known = [s.id for s in self.contents.schemas.values() if s.name == type_name]
        builder = RecordBuilder()
        if known:
            schema_id = known[0]
        else:
            schema_id = len(self.contents.schemas) + 1
            schema = Schema(schema_id, definition.encode(), "ros2msg", type_name)
            self.contents.schemas[schema_id] = schema
            schema.write(builder)
        number = len(self.contents.channels) + 1
        channel = Channel(number, topic, "cdr", dict(metadata), schema_id)
        self.contents.channels[number] = channel
        self.contents.counts[number] = 0
        channel.write(builder)
        self._chunk.data += builder.end()
        return number

    def add(self, channel: int, log_ns: int, publish_ns: int, data: bytes, sequence: int) -> None:
        """A message, as CDR, into the open chunk; nothing is written yet."""
        self._chunk.add(channel, log_ns, publish_ns, data, sequence)

    def end_chunk(self) -> None:
        """Write what is pending, whole or (on OSError) not at all as far as readers can tell."""
        chunk = self._chunk
        if not chunk.data:
            return
        self._chunk = _OpenChunk()
        packed = self._compressor.compress(chunk.data)
        record, index = sealed(
            packed, COMPRESSION, chunk.data, chunk.entries, chunk.span_ns, self._end
        )
        self._write(record)
        self.contents.chunks.append(index)
        for number, entries in chunk.entries.items():
            self.contents.counts[number] += len(entries)

    def sync(self) -> None:
        """Wait until everything written survives a loss of power."""
        os.fdatasync(self._file.fileno())

    def finish(self) -> None:
        """End the file with its index and close it. What is pending is left out after a failure."""
        self.end_chunk()
        self._write(ending(self.contents, self._end))
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        """Close it as it is."""
        self._file.close()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            # Half a record would end what readers can read; this also frees its space.
            self._file.truncate(self._end)
            self._file.seek(self._end)
            raise
        self._end += len(data)


@dataclass
class _OpenChunk:
    """Messages of one chunk: log time and offset of each by channel."""

    data: bytearray = field(default_factory=bytearray)
    entries: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    def add(self, channel: int, log_ns: int, publish_ns: int, data: bytes, sequence: int) -> None:
        self.entries.setdefault(channel, []).append((log_ns, len(self.data)))
        rest = _MESSAGE_REST + len(data)
        self.data += _MESSAGE.pack(
            Opcode.MESSAGE, rest, channel, sequence & _WORD, log_ns, publish_ns
        )
        self.data += data

    @property
    def span_ns(self) -> tuple[int, int]:
        stamps = [stamp for entries in self.entries.values() for stamp, _ in entries]
        return (min(stamps), max(stamps)) if stamps else (0, 0)


def sealed(
    packed: bytes,
    compression: str,
    data: bytes | bytearray,
    entries: Mapping[int, list[tuple[int, int]]],
    span_ns: tuple[int, int],
    offset: int,
) -> tuple[bytes, ChunkIndex]:
    """Records of a chunk with its message indexes, to be written at `offset`; and its own index."""
    builder = RecordBuilder()
    Chunk(
        compression=compression,
        data=packed,
        message_start_time=span_ns[0],
        message_end_time=span_ns[1],
        uncompressed_crc=zlib.crc32(data),
        uncompressed_size=len(data),
    ).write(builder)
    chunk_length = builder.count
    offsets = write_indexes(builder, entries, offset)
    index = ChunkIndex(
        chunk_length=chunk_length,
        chunk_start_offset=offset,
        compression=compression,
        compressed_size=len(packed),
        message_start_time=span_ns[0],
        message_end_time=span_ns[1],
        message_index_length=builder.count - chunk_length,
        message_index_offsets=offsets,
        uncompressed_size=len(data),
    )
    return builder.end(), index


def write_indexes(
    builder: RecordBuilder, entries: Mapping[int, list[tuple[int, int]]], base: int
) -> dict[int, int]:
    """Message indexes of a chunk; where each lies, if the builder's first byte goes to `base`."""
    offsets = {}
    for number, records in entries.items():
        offsets[number] = base + builder.count
        MessageIndex(number, records).write(builder)
    return offsets


def ending(contents: Contents, offset: int) -> bytes:
    """Everything after the last chunk: end of data, summary, footer. offset: where it goes to."""
    builder = RecordBuilder()
    DataEnd(0).write(builder)
    summary_start = offset + builder.count
    groups = (
        (Opcode.SCHEMA, list(contents.schemas.values())),
        (Opcode.CHANNEL, list(contents.channels.values())),
        (Opcode.STATISTICS, [_statistics(contents)]),
        (Opcode.CHUNK_INDEX, contents.chunks),
    )
    places = []
    for opcode, records in groups:
        start = builder.count
        for record in records:
            record.write(builder)
        if records:
            places.append(SummaryOffset(opcode, offset + start, builder.count - start))
    offsets_start = offset + builder.count
    for place in places:
        place.write(builder)
    data = builder.end()
    # The checksum covers the summary and the footer up to the checksum itself.
    head = struct.pack("<BQQQ", Opcode.FOOTER, 20, summary_start, offsets_start)
    crc = zlib.crc32(head, zlib.crc32(data[summary_start - offset :]))
    builder = RecordBuilder()
    Footer(summary_start, offsets_start, crc).write(builder)
    return data + builder.end() + MAGIC


def _statistics(contents: Contents) -> Statistics:
    first_ns, last_ns = contents.span_ns
    return Statistics(
        attachment_count=0,
        channel_count=len(contents.channels),
        channel_message_counts=dict(contents.counts),
        chunk_count=len(contents.chunks),
        message_count=contents.message_count,
        message_start_time=first_ns,
        message_end_time=last_ns,
        metadata_count=0,
        schema_count=len(contents.schemas),
    )


def _header() -> bytes:
    builder = RecordBuilder()
    Header(PROFILE, LIBRARY).write(builder)
    return builder.end()
