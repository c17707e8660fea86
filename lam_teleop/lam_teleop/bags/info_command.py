"""`lam bags info`: what is in recordings, and what was lost of it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lam_models.command import UserError

if TYPE_CHECKING:
    from lam_teleop.bags.recovery import Scan
    from lam_teleop.bags.sidecar import Episode

SUMMARY = "show what is in recordings and what was lost of it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="a recording, or the folder of many")


def run(args: argparse.Namespace) -> int:
    from lam_teleop.bags.repair import find_episodes

    folders = find_episodes(args.folder)
    failed = 0
    for folder in folders:
        try:
            print(_line(folder) if len(folders) > 1 else _page(folder))
        except UserError as error:
            print(f"{folder.name}: {error}")
            failed += 1
    return int(failed > 0)


def _read(folder: Path) -> tuple[Episode, Scan]:
    from lam_teleop.bags.recovery import scan
    from lam_teleop.bags.sidecar import read_episode

    files = sorted(folder.glob("*.mcap"))
    if len(files) != 1:
        raise UserError(f"{folder} holds {len(files)} .mcap files, not one")
    return read_episode(folder), scan(files[0])


def _line(folder: Path) -> str:
    from lam_teleop.bags.watching import megabytes

    episode, found = _read(folder)
    state = episode.outcome if found.is_finished else "unfinished: lam bags repair"
    figures = f"{_seconds(found):6.1f} s  {megabytes(found.size):>9}  {_lost(episode):>8}"
    return f"{folder.name}  {figures}  {state}  {episode.instruction}"


def _page(folder: Path) -> str:
    from lam_teleop.bags.watching import megabytes

    episode, found = _read(folder)
    figures = f"{_seconds(found):.1f} s, {megabytes(found.size)}"
    lines = [
        f"{episode.episode_id}: {figures}, {episode.outcome}",
        f"instruction: {episode.instruction or '-'}   operator: {episode.operator_name or '-'}",
    ]
    if episode.note:
        lines.append(f"note: {episode.note}")
    if not found.is_finished:
        lines.append("the file has no end: finish it with 'lam bags repair'")
    lines.append("")
    width = max((len(topic) for topic in found.contents.by_topic()), default=5)
    lines.append(f"{'topic'.ljust(width)}  messages  lost  unsent     rate  type")
    for number, channel in found.contents.channels.items():
        count = found.contents.counts.get(number, 0)
        facts = episode.topics.get(channel.topic, {})
        span_s = (facts.get("last_ns", 0) - facts.get("first_ns", 0)) / 1e9
        rate = f"{(count - 1) / span_s:5.1f} Hz" if span_s > 0 and count > 1 else "-"
        kind = found.contents.schemas[channel.schema_id].name
        lines.append(
            f"{channel.topic.ljust(width)}  {count:8d}  {facts.get('lost', '?')!s:>4}  "
            f"{facts.get('unsent', '?')!s:>6}  "
            f"{rate:>8}  {kind}"
        )
    for one in episode.annotations:
        at_s = (one["stamp_ns"] - episode.started_ns) / 1e9
        lines.append(f"{at_s:7.1f} s  {one['text']}")
    return "\n".join(lines)


def _seconds(found: Scan) -> float:
    first_ns, last_ns = found.contents.span_ns
    return (last_ns - first_ns) / 1e9


def _lost(episode: Episode) -> str:
    if not episode.topics:
        return "?"
    return f"{sum(facts.get('lost', 0) for facts in episode.topics.values())} lost"
