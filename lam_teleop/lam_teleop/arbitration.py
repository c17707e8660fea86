"""Who commands the robot: one source at a time, a person before every program. No ROS, no clock.

In: orders as they arrive, with the present time. Out: a ruling on each, and zero motions that are
owed. An order is a command of one source for the arm or for the hand; it is forwarded whole or not
at all. Both parts always belong to the same source: who takes the arm takes the hand with it.

* teleop goes before expert, expert before policy. A source commands from its first order until it
  has been silent for a while: a program for `silence_ns`, a person for `hold_off_ns`.
* When a moving arm changes hands, a zero motion in the new source's name goes out at once, and the
  new source's orders a period after the last one of the old source: never two in one period.
* When orders for a moving arm cease, one zero motion goes out in its source's name, then silence.
* Whatever a person sends takes the robot over, even where it is then refused: the robot stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

NS_PER_S = 1_000_000_000
PERSON = "teleop"
# By priority. "" is nobody.
SOURCES = (PERSON, "expert", "policy")
Part = Literal["arm", "hand"]
Refusal = Literal["yields", "hand_over", "disabled", "misnamed", "not_finite", "stale", "ahead"]
Kind = Literal["forward"] | Refusal


@dataclass(frozen=True)
class Rules:
    """When a source has the word.

    period_ns: between orders of different sources at least. silence_ns: after so long without an
    order the arm is stopped and a program has given up the robot. hold_off_ns: the same for a
    person, whose keys and buttons pause. max_arm_age_ns, max_hand_age_ns: since an order's stamp,
    which for a hand is that of the observation behind it.
    """

    period_ns: int = 50_000_000
    silence_ns: int = 200_000_000
    hold_off_ns: int = NS_PER_S
    max_arm_age_ns: int = 250_000_000
    max_hand_age_ns: int = NS_PER_S
    max_ahead_ns: int = 100_000_000


@dataclass(frozen=True)
class Order:
    """A command as the arbiter sees it.

    source: whose topic it came on. said: whom the message itself names, "" where it cannot.
    still: a zero motion.
    """

    source: str
    part: Part
    stamp_ns: int
    said: str = ""
    finite: bool = True
    still: bool = False


@dataclass(frozen=True)
class Ruling:
    """What to do with an order. zero_by: in whose name a zero motion goes out first, "" none."""

    kind: Kind
    zero_by: str = ""
    words: str = ""

    @property
    def forward(self) -> bool:
        return self.kind == "forward"


@dataclass
class Arbiter:
    """The state of arbitration. owner: who commands now, "" nobody."""

    rules: Rules = field(default_factory=Rules)
    owner: str = ""
    enabled: bool = True
    forwarded: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    _heard_ns: int = 0
    # The arm's last order: when, by whom, and whether it still has to be answered by a zero.
    _arm_ns: int = 0
    _mover: str = ""
    # The last order of each part went out then, in this source's name.
    _last_ns: int | None = None
    _last_by: str = ""
    _now_ns: int = 0

    def hear(self, order: Order, now_ns: int) -> Ruling:
        """Rule on an order that has just come."""
        zero_by = self.tick(now_ns)
        fault = self._fault(order, now_ns)
        if not self.enabled:
            return self._refuse(order, "disabled", "commanding is disabled", zero_by)
        if self.owner and _rank(order.source) > _rank(self.owner):
            words = f"{order.source} yields to {self.owner}"
            return self._refuse(order, "yields", words, zero_by)
        if fault is None or order.source == PERSON:
            zero_by = self._claim(order.source, now_ns) or zero_by
        if fault is not None:
            return self._refuse(order, *fault, zero_by)
        if self._last_by != order.source and self._last_ns is not None:
            wait_ns = self._last_ns + self.rules.period_ns - now_ns
            if wait_ns > 0:
                words = f"{order.source} waits out the period of {self._last_by}"
                return self._refuse(order, "hand_over", words, zero_by)
        self._note(order, now_ns)
        return Ruling("forward", zero_by)

    def tick(self, now_ns: int) -> str:
        """Let time pass; in whose name a zero motion goes out now, "" for none."""
        turned_back = now_ns < self._now_ns
        self._now_ns = now_ns
        if turned_back:
            self.owner, self._last_ns = "", None
            return self._stop()
        limit_ns = self.rules.hold_off_ns if self.owner == PERSON else self.rules.silence_ns
        if self.owner and now_ns - self._heard_ns > limit_ns:
            self.owner = ""
        if self._mover and now_ns - self._arm_ns > self.rules.silence_ns:
            return self._stop()
        return ""

    def enable(self, on: bool) -> str:
        """Let sources command, or nobody; in whose name a zero motion goes out now."""
        self.enabled = on
        if on:
            return ""
        self.owner = ""
        return self._stop()

    def _claim(self, source: str, now_ns: int) -> str:
        """Give the robot to a source; in whose name a zero motion goes out."""
        self._heard_ns = now_ns
        if source == self.owner:
            return ""
        self.owner = source
        if self._mover in ("", source):
            return ""
        self._mover = ""
        return source

    def _stop(self) -> str:
        mover, self._mover = self._mover, ""
        return mover

    def _note(self, order: Order, now_ns: int) -> None:
        self.forwarded[order.source] += 1
        self._last_ns, self._last_by = now_ns, order.source
        if order.part == "arm":
            self._arm_ns = now_ns
            self._mover = "" if order.still else order.source

    def _refuse(self, order: Order, kind: Refusal, words: str, zero_by: str) -> Ruling:
        self.refused[f"{order.source} {kind}"] += 1
        return Ruling(kind, zero_by, words)

    def _fault(self, order: Order, now_ns: int) -> tuple[Refusal, str] | None:
        """What is wrong with the order itself."""
        if order.said not in ("", order.source):
            words = f"it came on the topic of '{order.source}' and says source '{order.said}'"
            return "misnamed", words
        if not order.finite:
            return "not_finite", f"numbers of {order.source} are not finite"
        ages = {"arm": self.rules.max_arm_age_ns, "hand": self.rules.max_hand_age_ns}
        age_ns, limit_ns = now_ns - order.stamp_ns, ages[order.part]
        if age_ns > limit_ns:
            words = f"its stamp is {age_ns / NS_PER_S:.3f} s old, {limit_ns / NS_PER_S:g} s allowed"
            return "stale", words
        if -age_ns > self.rules.max_ahead_ns:
            return "ahead", f"its stamp is {-age_ns / NS_PER_S:.3f} s ahead: do the clocks agree?"
        return None


def _rank(source: str) -> int:
    return SOURCES.index(source)


def counts(arbiter: Arbiter) -> Mapping[str, str]:
    """What was forwarded and refused so far, for reports."""
    forwarded = {f"forwarded_{name}": str(arbiter.forwarded[name]) for name in SOURCES}
    refused = {
        f"refused_{name.replace(' ', '_')}": str(count)
        for name, count in sorted(arbiter.refused.items())
    }
    return forwarded | refused
