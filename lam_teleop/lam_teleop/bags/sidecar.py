"""episode.json and metadata.yaml beside a bag.

episode.json says what was done, by whom, with which robot, and what became of every message;
metadata.yaml is what rosbag2 reads before it opens a bag.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lam_models.command import UserError

SIDECAR, METADATA = "episode.json", "metadata.yaml"
PARTIAL = ".partial"
FORMAT_VERSION = 1
OUTCOMES = ("unknown", "success", "failure", "discarded")
_ROSBAG2_VERSION = 9


@dataclass
class Episode:
    """What is said of an episode. outcome: one of OUTCOMES. robot: content of its YAML file.

    clock_offsets_ns: least arrival minus stamp by topic: the sender's clock and the way here.
    """

    episode_id: str
    instruction: str = ""
    operator_name: str = ""
    note: str = ""
    outcome: str = "unknown"
    robot: Mapping[str, Any] = field(default_factory=dict)
    git_commit: str = ""
    started_ns: int = 0
    ended_ns: int = 0
    clock_offsets_ns: dict[str, int] = field(default_factory=dict)
    topics: dict[str, dict[str, Any]] = field(default_factory=dict)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    repaired: bool = False


def write_episode(folder: Path, episode: Episode, *, durable: bool = False) -> None:
    """Write the sidecar in one step: a reader finds the old one or the new one."""
    content = {"format_version": FORMAT_VERSION, **vars(episode)}
    _replace(folder / SIDECAR, json.dumps(content, indent=1, allow_nan=False), durable)


def read_episode(folder: Path) -> Episode:
    """What a sidecar says; the folder's name alone where there is none."""
    file = folder / SIDECAR
    if not file.exists():
        return Episode(folder.name.removesuffix(PARTIAL))
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file} is not valid JSON: {error}") from error
    version = content.pop("format_version", None) if isinstance(content, dict) else None
    if version != FORMAT_VERSION:
        raise UserError(f"{file}: format_version is {version}; known: {FORMAT_VERSION}")
    known = Episode.__dataclass_fields__
    return Episode(**{key: value for key, value in content.items() if key in known})


@dataclass(frozen=True)
class BagTopic:
    """A topic as rosbag2 lists it. qos: profiles of its publishers, as rosbag2 writes them."""

    name: str
    type: str
    hash: str
    qos: Sequence[Mapping[str, Any]]
    count: int


def write_metadata(
    folder: Path, file_name: str, topics: Sequence[BagTopic], span_ns: tuple[int, int]
) -> None:
    """metadata.yaml of a bag of one file."""
    listed = [
        {
            "topic_metadata": {
                "name": topic.name,
                "type": topic.type,
                "serialization_format": "cdr",
                "offered_qos_profiles": [dict(profile) for profile in topic.qos],
                "type_description_hash": topic.hash,
            },
            "message_count": topic.count,
        }
        for topic in topics
    ]
    content = {
        "version": _ROSBAG2_VERSION,
        "storage_identifier": "mcap",
        "relative_file_paths": [file_name],
        **_times(topics, span_ns),
        "topics_with_message_count": listed,
        # The chunks inside are compressed; this is about the file as a whole.
        "compression_format": "",
        "compression_mode": "",
        "files": [{"path": file_name, **_times(topics, span_ns)}],
        "custom_data": None,
        "ros_distro": os.environ.get("ROS_DISTRO", "jazzy"),
    }
    text = yaml.safe_dump({"rosbag2_bagfile_information": content}, sort_keys=False)
    _replace(folder / METADATA, text, durable=True)


def software_commit() -> str:
    """Of the checkout this file lies in, "" where it lies in none."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        where = Path(__file__).resolve().parent
        done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _times(topics: Sequence[BagTopic], span_ns: tuple[int, int]) -> dict[str, Any]:
    return {
        "duration": {"nanoseconds": span_ns[1] - span_ns[0]},
        "starting_time": {"nanoseconds_since_epoch": span_ns[0]},
        "message_count": sum(topic.count for topic in topics),
    }


def _replace(path: Path, text: str, durable: bool) -> None:
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        if durable:
            os.fsync(file.fileno())
    new.replace(path)
