"""What can be read of an MCAP file that was never finished, and its end written anew.

Chunks are never rewritten: the file is cut after the last one that is whole, and gets its index.
A repair that is itself interrupted can be repeated.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import zstandard
from mcap.data_stream import ReadDataStream, RecordBuilder
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, ChunkIndex, Schema
from mcap.stream_reader import CRCValidationError, get_chunk_data_stream

from lam_models.command import UserError
from lam_teleop.bags.mcap_file import MAGIC, Contents, ending, write_indexes

_HEAD = struct.Struct("<BQ")
_MESSAGE = struct.Struct("<HIQ")
Entries = dict[int, list[tuple[int, int]]]


@dataclass
class Scan:
    """A file read from its start: what is whole in it.

    end: offset after the last whole chunk. tail: log time and offset of that chunk's messages by
    channel: their indexes may be missing in the file. is_finished: the file ends as it should.
    """

    contents: Contents
    end: int
    size: int
    tail: Entries = field(default_factory=dict)
    is_finished: bool = False

    @property
    def cut_bytes(self) -> int:
        """What lies behind the last whole chunk."""
        return 0 if self.is_finished else self.size - self.end


def scan(path: Path) -> Scan:
    """Read all chunks and check them. UserError where not even the beginning is there."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise UserError(f"{path} does not begin as an MCAP file")
        found = Scan(Contents(), len(MAGIC), size)
        while (head := file.read(_HEAD.size)) and len(head) == _HEAD.size:
            opcode, length = _HEAD.unpack(head)
            start = file.tell() - _HEAD.size
            if start + _HEAD.size + length > size or not _take(found, opcode, length, start, file):
                break
            file.seek(start + _HEAD.size + length)
    return found


def _take(found: Scan, opcode: int, length: int, start: int, file: BinaryIO) -> bool:
    """One record; False where what can be trusted ends."""
    after = start + _HEAD.size + length
    if opcode == Opcode.HEADER:
        found.end = after
    elif opcode == Opcode.CHUNK:
        try:
            _take_chunk(found, Chunk.read(ReadDataStream(file)), start, after)
        except (McapError, CRCValidationError, zstandard.ZstdError, struct.error, ValueError):
            return False
    elif opcode == Opcode.MESSAGE_INDEX and found.contents.chunks:
        last = found.contents.chunks[-1]
        last.message_index_offsets[ReadDataStream(file).read2()] = start
        last.message_index_length = after - last.chunk_start_offset - last.chunk_length
    elif opcode in (Opcode.MESSAGE, Opcode.SCHEMA, Opcode.CHANNEL):
        raise UserError(f"{file.name} has messages outside chunks; only chunked files are repaired")
    elif opcode == Opcode.DATA_END:
        # Only the index follows: of interest is whether it is there to its last byte.
        file.seek(found.size - len(MAGIC))
        found.is_finished = file.read() == MAGIC
        return False
    elif opcode == 0:
        return False  # Space the file system gave but never filled.
    return True


def _take_chunk(found: Scan, chunk: Chunk, start: int, after: int) -> None:
    stream, size = get_chunk_data_stream(chunk, validate_crc=True)
    entries: Entries = {}
    schemas, channels = {}, {}
    while stream.count < size:
        offset = stream.count
        opcode, length = _HEAD.unpack(stream.read(_HEAD.size))
        if opcode == Opcode.MESSAGE:
            number, _, log_ns = _MESSAGE.unpack(stream.read(_MESSAGE.size))
            entries.setdefault(number, []).append((log_ns, offset))
            stream.read(length - _MESSAGE.size)
        elif opcode == Opcode.SCHEMA:
            schema = Schema.read(stream)
            schemas[schema.id] = schema
        elif opcode == Opcode.CHANNEL:
            channel = Channel.read(stream)
            channels[channel.id] = channel
        else:
            stream.read(length)
    contents = found.contents
    contents.schemas |= schemas
    contents.channels |= channels
    for number in channels:
        contents.counts.setdefault(number, 0)
    for number, records in entries.items():
        contents.counts[number] = contents.counts.get(number, 0) + len(records)
    found.end, found.tail = after, entries
    contents.chunks.append(
        ChunkIndex(
            chunk_length=after - start,
            chunk_start_offset=start,
            compression=chunk.compression,
            compressed_size=len(chunk.data),
            message_start_time=chunk.message_start_time,
            message_end_time=chunk.message_end_time,
            message_index_length=0,
            message_index_offsets={},
            uncompressed_size=chunk.uncompressed_size,
        )
    )


def mend(path: Path) -> Scan:
    """Give an unfinished file its end; a finished one is left as it is. What was found in it."""
    found = scan(path)
    if found.is_finished:
        return found
    builder = RecordBuilder()
    if chunks := found.contents.chunks:
        chunks[-1].message_index_offsets = write_indexes(builder, found.tail, found.end)
        chunks[-1].message_index_length = builder.count
    indexes = builder.end()
    with path.open("r+b") as file:
        file.truncate(found.end)
        file.seek(found.end)
        file.write(indexes + ending(found.contents, found.end + len(indexes)))
        file.flush()
        os.fsync(file.fileno())
    return found
