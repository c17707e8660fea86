"""What came just before an episode began, and what is said once and holds on."""

from __future__ import annotations

from collections import deque

from lam_teleop.bags.episode_writer import Heard

# Static transforms come from several publishers on one topic.
_LATCHED_KEPT = 16


class PreRoll:
    """Messages of the last `span_ns`, at most `most_bytes`; of latched topics the newest ones."""

    def __init__(self, span_ns: int, most_bytes: int) -> None:
        self._span_ns, self._most_bytes = span_ns, most_bytes
        self._recent: deque[Heard] = deque()
        self._latched: dict[str, deque[Heard]] = {}
        self._bytes = 0

    def latch(self, topic: str) -> None:
        """This topic is sent once: its newest messages belong to every episode."""
        self._latched.setdefault(topic, deque(maxlen=_LATCHED_KEPT))

    def hear(self, heard: Heard) -> None:
        """Keep a message for as long as it is recent."""
        if heard.topic in self._latched:
            self._latched[heard.topic].append(heard)
            return
        self._recent.append(heard)
        self._bytes += len(heard.data)
        self.forget(heard.arrived_ns)

    def forget(self, now_ns: int) -> None:
        """Let go of what is too old or too much; all of it where the clock was set back."""
        recent = self._recent
        while recent and (
            not 0 <= now_ns - recent[0].arrived_ns <= self._span_ns
            or self._bytes > self._most_bytes
        ):
            self._bytes -= len(recent.popleft().data)

    def take(self, now_ns: int) -> list[Heard]:
        """All of it, by arrival. A latched message counts as arriving when the rest begins."""
        self.forget(now_ns)
        begin_ns = self._recent[0].arrived_ns if self._recent else now_ns
        latched = [
            one._replace(arrived_ns=max(begin_ns, one.arrived_ns))
            for kept in self._latched.values()
            for one in kept
        ]
        recent, self._recent, self._bytes = list(self._recent), deque(), 0
        return sorted([*latched, *recent], key=lambda one: one.arrived_ns)
