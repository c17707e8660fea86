"""Finish the folder of an episode whose recorder died.

What is lost is what the recorder had not yet written: its last chunk, under a second. The sidecar
lies in the folder from the beginning; what it says of received messages may be a chunk older than
the file, so the file's counts are the least.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mcap.records import Channel

from lam_models.command import UserError
from lam_teleop.bags.mcap_file import Contents
from lam_teleop.bags.recovery import mend, scan
from lam_teleop.bags.sidecar import (
    METADATA,
    PARTIAL,
    SIDECAR,
    BagTopic,
    Episode,
    read_episode,
    write_episode,
    write_metadata,
)


@dataclass(frozen=True)
class Repaired:
    """What became of a folder. cut_bytes: what could not be read at the end."""

    folder: Path
    was_finished: bool
    message_count: int
    duration_s: float
    cut_bytes: int


def find_episodes(root: Path) -> list[Path]:
    """Folders of episodes at or below `root`, unfinished ones among them; by name."""
    if not root.is_dir():
        raise UserError(f"no folder at {root}")
    folders = {file.parent for file in root.rglob("*.mcap")}
    folders |= {file.parent for file in root.rglob(SIDECAR)}
    if not folders:
        raise UserError(f"{root} holds no recordings (folders with .mcap files)")
    return sorted(folders)


def is_finished(folder: Path) -> bool:
    """Whether nothing is left to do for it, without reading its messages."""
    return not folder.name.endswith(PARTIAL) and (folder / METADATA).exists()


def repair(folder: Path) -> Repaired:
    """Finish one episode. Finished ones are not touched.

    UserError where no message was written or something else is in the way.
    """
    if is_finished(folder):
        return Repaired(folder, True, 0, 0.0, 0)
    final = folder.with_name(folder.name.removesuffix(PARTIAL))
    if final != folder and final.exists():
        raise UserError(f"{final} exists already: move one of the two away")
    files = sorted(folder.glob("*.mcap"))
    if len(files) != 1:
        raise UserError(f"{folder} holds {len(files)} .mcap files; only single ones are repaired")
    if not scan(files[0]).contents.message_count:
        raise UserError(f"{folder} holds no whole message: it can be removed")
    found = mend(files[0])
    contents = found.contents
    write_metadata(folder, files[0].name, _topics(contents), contents.span_ns)
    if (folder / SIDECAR).exists():
        write_episode(folder, _accounted(read_episode(folder), contents), durable=True)
    folder.rename(final)
    first_ns, last_ns = contents.span_ns
    return Repaired(
        final, False, contents.message_count, (last_ns - first_ns) / 1e9, found.cut_bytes
    )


def _topics(contents: Contents) -> list[BagTopic]:
    return [
        BagTopic(
            name=channel.topic,
            type=contents.schemas[channel.schema_id].name,
            hash=channel.metadata.get("topic_type_hash", ""),
            qos=_profiles(channel),
            count=contents.counts.get(number, 0),
        )
        for number, channel in contents.channels.items()
    ]


def _profiles(channel: Channel) -> list[dict[str, Any]]:
    found = yaml.safe_load(channel.metadata.get("offered_qos_profiles", "") or "[]")
    return found if isinstance(found, list) else []


def _accounted(episode: Episode, contents: Contents) -> Episode:
    counts = contents.by_topic()
    for channel in contents.channels.values():
        role = {"type": contents.schemas[channel.schema_id].name, "role": ""}
        facts = episode.topics.setdefault(channel.topic, role)
        written = counts[channel.topic]
        received = max(facts.get("received", 0), written)
        unheard = facts.get("expected", 0) - facts.get("received", 0)
        facts |= {"received": received, "written": written, "expected": received + unheard}
        facts["lost"] = facts["expected"] - written
        stamps = {"bytes": 0, "first_ns": contents.span_ns[0], "last_ns": contents.span_ns[1]}
        for key, value in stamps.items():
            facts.setdefault(key, value)
    episode.ended_ns = episode.ended_ns or contents.span_ns[1]
    episode.repaired = True
    return episode
