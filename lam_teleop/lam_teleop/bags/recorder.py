"""The recorder between its messages and its episodes; the caller has the clock and the topics.

idle ── start ─▶ recording ── stop ─▶ <episode_id>/      ── discard ─▶ nothing
                     └── disk full, failed write ─▶ stopped by itself, outcome unknown
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lam_models.command import UserError, unknown
from lam_teleop.bags.counting import NO_GAP, Gap, Numbering, Rhythm, Tally
from lam_teleop.bags.episode_writer import EpisodeWriter, Heard, Topic
from lam_teleop.bags.layout import DELTA_TYPE, begins_with_header, delta_sequence, header_ns
from lam_teleop.bags.preroll import PreRoll
from lam_teleop.bags.sidecar import OUTCOMES, Episode
from lam_teleop.bags.watching import (
    NS_PER_S,
    FreeBytes,
    Limits,
    disk_fault,
    disk_warning,
    free_bytes,
)

# What comes in a steady rhythm, so that a gap is a loss.
STREAMS = ("camera", "joints", "pose")
_SILENT_NS = NS_PER_S
_SILENT_PERIODS = 10


@dataclass(frozen=True)
class Closed:
    """An episode that is over."""

    episode_id: str
    elapsed_ns: int
    folder: Path | None
    outcome: str = "unknown"
    lost: int = 0


@dataclass(frozen=True)
class Report:
    """State of the recorder in words. level: 0 well, 1 warning, 2 error."""

    level: int
    text: str
    values: Mapping[str, str]
    stopped: Closed | None = None


@dataclass
class _Stream:
    """A topic as it is heard, in and between episodes."""

    topic: Topic
    has_header: bool
    rhythm: Rhythm = field(default_factory=Rhythm)
    numbering: Numbering = field(default_factory=Numbering)
    last_ns: int = 0

    def gap(self, stamp_ns: int, data: bytes, number: int) -> tuple[Gap, int]:
        """What is missing before this message, and the number it has (0 without)."""
        if self.topic.type == DELTA_TYPE and (numbered := delta_sequence(data)):
            return Gap(self.numbering.hear(*numbered)), numbered[1]
        due = self.rhythm.hear(stamp_ns) if self.topic.role in STREAMS else 0
        if not number:
            self.numbering.forget()
            return Gap(due), 0
        missing = self.numbering.hear(0, number)
        return Gap(missing, due - missing), number


class Recorder:
    """Hears everything; keeps it while an episode runs. root: where the episodes' folders go."""

    def __init__(
        self,
        root: Path,
        robot: Mapping[str, Any],
        git_commit: str,
        limits: Limits | None = None,
        free: FreeBytes = free_bytes,
    ) -> None:
        self.root, self.limits = root, limits or Limits()
        self._robot, self._commit, self._free = robot, git_commit, free
        self._streams: dict[str, _Stream] = {}
        self._tallies: dict[str, Tally] = {}
        self._pre_roll = PreRoll(
            round(self.limits.pre_roll_s * NS_PER_S), self.limits.pre_roll_bytes
        )
        self._writer: EpisodeWriter | None = None
        self._episode = Episode("")
        self._bytes, self._watched = 0, (0, 0)
        self._fault = ""

    @property
    def episode(self) -> Episode | None:
        """The running one."""
        return self._episode if self._writer else None

    @property
    def topics(self) -> Mapping[str, Topic]:
        return {name: stream.topic for name, stream in self._streams.items()}

    def add_topic(self, topic: Topic) -> None:
        """Begin to hear a topic; once for each."""
        self._streams[topic.name] = _Stream(topic, begins_with_header(topic.definition))
        if topic.latched:
            self._pre_roll.latch(topic.name)
        if self._writer:
            self._add_to_writer(topic)

    def hear(self, name: str, arrived_ns: int, data: bytes, number: int = 0) -> None:
        """A message, as CDR, that arrived now.

        number: how many its publisher has sent, if it is the only one of the topic; else 0.
        """
        stream = self._streams[name]
        stamp_ns = header_ns(data) if stream.has_header else 0
        gap, number = stream.gap(stamp_ns or arrived_ns, data, number)
        stream.last_ns = arrived_ns
        self._bytes += len(data)
        heard = Heard(name, arrived_ns, stamp_ns or arrived_ns, data, number)
        if self._writer:
            self._tallies[name].hear(arrived_ns, stamp_ns, len(data), gap)
            self._tallies[name].written += self._writer.put(heard)
            if not stream.topic.latched:
                return
        self._pre_roll.hear(heard)

    def start(
        self, now_ns: int, instruction: str = "", operator_name: str = "", note: str = ""
    ) -> str:
        """Begin an episode; its id. UserError where one runs or the disk has no room."""
        if self._writer:
            raise UserError(f"episode {self._episode.episode_id} is running: stop it first")
        if fault := disk_fault(self._free(self.root), self.limits):
            raise UserError(fault)
        episode = Episode(
            episode_id=self._new_id(now_ns),
            instruction=instruction,
            operator_name=operator_name,
            note=note,
            robot=self._robot,
            git_commit=self._commit,
            started_ns=now_ns,
        )
        self._writer = EpisodeWriter(self.root, episode, self.limits.most_queued_bytes)
        self._episode, self._tallies, self._fault = episode, {}, ""
        for stream in self._streams.values():
            self._add_to_writer(stream.topic)
        for heard in self._pre_roll.take(now_ns):
            topic = self._streams[heard.topic].topic
            has_stamp = heard.stamp_ns != heard.arrived_ns and not topic.latched
            stamp_ns = heard.stamp_ns if has_stamp else 0
            tally = self._tallies[topic.name]
            tally.hear(heard.arrived_ns, stamp_ns, len(heard.data), NO_GAP)
            tally.written += self._writer.put(heard)
        return episode.episode_id

    def stop(self, now_ns: int, outcome: str = "unknown", note: str = "") -> Closed:
        """End the episode and finish its folder; "discarded" throws it away.

        UserError without an episode, or where the folder cannot be finished.
        """
        if outcome not in OUTCOMES:
            raise unknown("outcome", outcome, OUTCOMES)
        writer, elapsed_ns = self._running(), now_ns - self._episode.started_ns
        self._writer = None
        if outcome == "discarded":
            writer.discard()
            return Closed(self._episode.episode_id, elapsed_ns, None, outcome)
        if outcome != "unknown":
            self._episode.outcome = outcome
        if note:
            self._episode.note = "; ".join(filter(None, (self._episode.note, note)))
        self._episode.ended_ns = now_ns
        writer.episode = self._snapshot()
        folder = writer.close()
        lost = sum(facts["lost"] for facts in writer.episode.topics.values())
        return Closed(self._episode.episode_id, elapsed_ns, folder, self._episode.outcome, lost)

    def annotate(self, now_ns: int, text: str, outcome: str = "unknown") -> None:
        """Say something of the running episode; an outcome other than unknown is kept."""
        writer = self._running()
        if text:
            self._episode.annotations.append({"stamp_ns": now_ns, "text": text})
        if outcome not in ("unknown", "discarded"):
            self._episode.outcome = outcome
        writer.episode = self._snapshot()

    def watch(self, now_ns: int) -> Report:
        """Look at the disk and at the topics; call it about twice a second.

        Stops an episode that can no longer be written, as `Report.stopped`.
        """
        rate_b_s, free = self._rate(now_ns), self._free(self.root)
        stopped = None
        if writer := self._writer:
            writer.episode = self._snapshot()
            if fault := writer.fault or disk_fault(free, self.limits):
                stopped = self._give_up(now_ns, fault)
        waiting = writer.waiting_bytes if writer else 0
        silent = self._silent(now_ns)
        values = {
            "episode": self._episode.episode_id if self._writer else "",
            "free_mb": f"{free / 1e6:.0f}",
            "rate_mb_s": f"{rate_b_s / 1e6:.2f}",
            "waiting_mb": f"{waiting / 1e6:.1f}",
            "lost": str(sum(facts["lost"] for facts in self._accounts().values())),
            "silent": ", ".join(silent),
        }
        if self._fault:
            return Report(2, self._fault, values, stopped)
        warning = disk_warning(free, rate_b_s, waiting, self.limits)
        if not warning and silent:
            warning = f"nothing comes on {', '.join(silent)}"
        state = f"recording {self._episode.episode_id}" if self._writer else "idle"
        return Report(int(bool(warning)), f"{state}; {warning}" if warning else state, values)

    def _give_up(self, now_ns: int, fault: str) -> Closed:
        episode = self._episode
        self._fault = f"recording of {episode.episode_id} stopped: {fault}"
        try:
            return self.stop(now_ns, note=f"stopped by the recorder: {fault}")
        except UserError as error:
            self._fault += f"; {error}"
            return Closed(episode.episode_id, now_ns - episode.started_ns, None)

    def _running(self) -> EpisodeWriter:
        if self._writer is None:
            raise UserError("no episode is running")
        return self._writer

    def _add_to_writer(self, topic: Topic) -> None:
        assert self._writer is not None
        self._tallies[topic.name] = Tally(topic.type, topic.role)
        self._writer.add_topic(topic)

    def _accounts(self) -> dict[str, dict[str, Any]]:
        """The topics' accounts; written is what the writer took, until the file says better."""
        return {name: tally.to_json() for name, tally in self._tallies.items()}

    def _snapshot(self) -> Episode:
        """The episode as it stands, for another thread."""
        offsets = {
            name: tally.least_delay_ns
            for name, tally in self._tallies.items()
            if tally.least_delay_ns is not None
        }
        return dataclasses.replace(
            self._episode,
            topics=self._accounts(),
            clock_offsets_ns=offsets,
            annotations=list(self._episode.annotations),
        )

    def _rate(self, now_ns: int) -> float:
        (then_ns, before), self._watched = self._watched, (now_ns, self._bytes)
        span_s = (now_ns - then_ns) / NS_PER_S
        return (self._bytes - before) / span_s if then_ns and span_s > 0 else 0.0

    def _silent(self, now_ns: int) -> list[str]:
        """Streams that came and do not come any more."""
        out = []
        for name, stream in self._streams.items():
            period_ns = stream.rhythm.period_ns
            limit_ns = max(_SILENT_NS, _SILENT_PERIODS * period_ns)
            if period_ns and now_ns - stream.last_ns > limit_ns:
                out.append(name)
        return out

    def _new_id(self, now_ns: int) -> str:
        """Of the local time and a number that no episode here has."""
        moment = time.strftime("%Y-%m-%dT%H-%M-%S", time.localtime(now_ns / NS_PER_S))
        taken = [path.name for path in self.root.glob("*")] if self.root.exists() else []
        numbers = [name.partition(".")[0].rpartition("_")[2] for name in taken]
        count = max((int(n) for n in numbers if n.isdigit()), default=0) + 1
        return f"{moment}_{count:04d}"
