"""One recorded episode: a folder with MCAP files and episode.json, read without ROS.

    RECORDINGS/<episode_id>/<episode_id>_0.mcap   profile ros2, messages as CDR
    RECORDINGS/<episode_id>/episode.json          what was done, by whom, with which robot

A message's log time is when it arrived at the recorder [ns], on the robot's clock. episode.json may
be missing, as in a bag of `ros2 bag record`; then the caller says what is in it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Channel, Schema
from mcap.summary import Summary
from mcap_ros2.decoder import DecoderFactory

from lam_models.command import UserError

SIDECAR = "episode.json"
PARTIAL = ".partial"
_FORMAT_VERSION = 1
# What the reader raises over a file that is cut off or overwritten.
_DAMAGE = (McapError, EOFError, struct.error, ValueError)
# CDR: four bytes of encapsulation, of which the second says the order of bytes.
_LITTLE_ENDIAN = 1


@dataclass(frozen=True)
class About:
    """What episode.json says. outcome: success, failure, unknown or discarded.

    robot: content of the robot's parameter file. roles: what a topic is for, where it is said.
    """

    episode_id: str
    instruction: str = ""
    operator_name: str = ""
    outcome: str = "unknown"
    robot: Mapping[str, Any] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    started_ns: int = 0
    ended_ns: int = 0


@dataclass(frozen=True)
class Raw:
    """A message as recorded: when it arrived [ns], its CDR bytes and what decodes them."""

    topic: str
    arrived_ns: int
    data: bytes
    decode: Callable[[bytes], Any]

    @property
    def message(self) -> Any:
        """The decoded message, its fields as attributes."""
        return self.decode(self.data)

    @property
    def header_ns(self) -> int:
        """Stamp of a message that begins with a std_msgs/Header, without decoding the rest."""
        order = "<" if self.data[1] & _LITTLE_ENDIAN else ">"
        sec, nanosec = struct.unpack_from(f"{order}iI", self.data, 4)
        return sec * 1_000_000_000 + nanosec


class Recording:
    """A finished recording at `path`; files are opened anew by every reading, as threads need."""

    def __init__(self, path: Path) -> None:
        if path.name.endswith(PARTIAL):
            raise UserError(f"{path} is not finished: mend it with 'lam bags repair'")
        self.path = path
        self.files = tuple(sorted(path.glob("*.mcap"), key=_number))
        if not self.files:
            raise UserError(f"{path} holds no .mcap file")
        self.about = read_about(path)

    @cached_property
    def types(self) -> Mapping[str, str]:
        """Message type of each topic that has messages, e.g. "sensor_msgs/msg/JointState"."""
        out: dict[str, str] = {}
        for summary in self._summaries:
            counts = summary.statistics.channel_message_counts if summary.statistics else {}
            for number, channel in summary.channels.items():
                schema = summary.schemas.get(channel.schema_id)
                if counts.get(number) and schema is not None:
                    out[channel.topic] = schema.name
        return out

    @cached_property
    def span_ns(self) -> tuple[int, int]:
        """Arrival of the first message and of the last."""
        found = [one.statistics for one in self._summaries if one.statistics is not None]
        return (
            min(one.message_start_time for one in found),
            max(one.message_end_time for one in found),
        )

    @cached_property
    def _summaries(self) -> list[Summary]:
        """The index of each file, all with statistics."""
        out = []
        for file in self.files:
            with file.open("rb") as stream:
                try:
                    summary = make_reader(stream).get_summary()
                except _DAMAGE as error:
                    raise _broken(file, error) from error
            if summary is None or summary.statistics is None:
                raise UserError(f"{file} has no index: mend it with 'lam bags repair'")
            out.append(summary)
        return out

    def messages(self, topics: Collection[str]) -> Iterator[Raw]:
        """Messages of these topics as they arrived. UserError where a file is damaged."""
        factory = DecoderFactory()
        decoders: dict[int, Callable[[bytes], Any]] = {}
        for file in self.files:
            with file.open("rb") as stream:
                decoders.clear()
                try:
                    for schema, channel, message in make_reader(stream).iter_messages(topics):
                        decode = decoders.get(channel.id)
                        if decode is None:
                            decode = decoders[channel.id] = _decoder(factory, file, schema, channel)
                        yield Raw(channel.topic, message.log_time, message.data, decode)
                except _DAMAGE as error:
                    raise _broken(file, error) from error
            factory = DecoderFactory()  # Numbers of schemas begin anew with each file.


def find_recordings(root: Path) -> list[Path]:
    """Folders of recordings at or below `root`, by name; unfinished ones among them."""
    if not root.is_dir():
        raise UserError(f"no folder of recordings at {root}")
    if any(root.glob("*.mcap")):
        return [root]
    folders = sorted({file.parent for file in root.rglob("*.mcap")})
    if not folders:
        raise UserError(f"{root} holds no recordings (folders with .mcap files)")
    return folders


def read_about(path: Path) -> About:
    """What the sidecar says; only the folder's name where there is none."""
    file = path / SIDECAR
    if not file.exists():
        return About(path.name)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"{file} is not valid JSON: {error}") from error
    if not isinstance(content, Mapping) or content.get("format_version") != _FORMAT_VERSION:
        found = content.get("format_version") if isinstance(content, Mapping) else content
        raise UserError(f"{file}: format_version is {found}; only {_FORMAT_VERSION} is read")
    topics = content.get("topics") or {}
    return About(
        episode_id=content.get("episode_id") or path.name,
        instruction=content.get("instruction") or "",
        operator_name=content.get("operator_name") or "",
        outcome=content.get("outcome") or "unknown",
        robot=content.get("robot") or {},
        roles={name: facts.get("role", "") for name, facts in topics.items()},
        started_ns=content.get("started_ns") or 0,
        ended_ns=content.get("ended_ns") or 0,
    )


def _number(file: Path) -> tuple[int, str]:
    """Files of a bag that was split count up: name_2 comes before name_10."""
    tail = file.stem.rpartition("_")[2]
    return (int(tail) if tail.isdigit() else 0), file.name


def _decoder(
    factory: DecoderFactory, file: Path, schema: Schema | None, channel: Channel
) -> Callable[[bytes], Any]:
    decoder = factory.decoder_for(channel.message_encoding, schema)
    if decoder is None:
        encoding = "none" if schema is None else schema.encoding
        raise UserError(
            f"{file}: topic '{channel.topic}' has messages as '{channel.message_encoding}' with a "
            f"definition as '{encoding}'; needed: cdr with ros2msg"
        )
    return decoder


def _broken(file: Path, error: Exception) -> UserError:
    return UserError(f"{file} is damaged ({error}): mend it with 'lam bags repair'")
