"""Laws of arbitration, over any sequence of orders and pauses."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lam_teleop.arbitration import PERSON, SOURCES, Arbiter, Order, Rules

MS = 1_000_000
RULES = Rules()
TICK_NS = 10 * MS


@dataclass(frozen=True)
class Event:
    """Something that happens wait_ns after what was before. order None: only time passes."""

    wait_ns: int
    order: Order | None = None
    age_ns: int = 0


@dataclass(frozen=True)
class Out:
    """What left the arbiter. order None: a zero motion of its own."""

    now_ns: int
    source: str
    order: Order | None = None
    age_ns: int = 0

    @property
    def arm(self) -> bool:
        return self.order is None or self.order.part == "arm"

    @property
    def moves(self) -> bool:
        return self.order is not None and self.arm and not self.order.still


WAITS_MS = (0, 1, 10, 20, 33, 50, 60, 120, 210, 600)
AGES_MS = (0, 0, 0, 0, 20, 240, 260, 1100, -50, -200)
# Each event is one number, whose digits choose: drawing them one by one is slow.
CHOICES = (WAITS_MS, AGES_MS, SOURCES, ("arm", "arm", "hand"), ("", "", *SOURCES))
CHOICES += ((True,) * 7 + (False,), (False, False, True), (True, True, True, False))


def event(number: int) -> Event:
    """The event that a number stands for."""
    drawn: list[Any] = []
    for choices in CHOICES:
        number, at = divmod(number, len(choices))
        drawn.append(choices[at])
    wait_ms, age_ms, source, part, said, finite, still, ordered = drawn
    order = Order(source, part, 0, said, finite, still) if ordered else None
    return Event(wait_ms * MS, order, age_ms * MS)


numbers = st.integers(0, math.prod(map(len, CHOICES)) - 1)
stories = st.lists(numbers.map(event), max_size=40)
seldom = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)


def play(story: list[Event], then_ns: int = 0) -> list[Out]:
    """What goes out while a story happens and for a while after; time ticks on in between."""
    arbiter, now_ns, out = Arbiter(RULES), 10**18, []

    def tick() -> None:
        if by := arbiter.tick(now_ns):
            out.append(Out(now_ns, by))

    for each in (*story, Event(then_ns)):
        end_ns = now_ns + each.wait_ns
        while now_ns + TICK_NS <= end_ns:
            now_ns += TICK_NS
            tick()
        now_ns = end_ns
        if each.order is not None:
            order = replace(each.order, stamp_ns=now_ns - each.age_ns)
            ruling = arbiter.hear(order, now_ns)
            if ruling.zero_by:
                out.append(Out(now_ns, ruling.zero_by))
            if ruling.forward:
                out.append(Out(now_ns, order.source, order, each.age_ns))
    return out


def times(story: list[Event]) -> list[tuple[int, Event]]:
    """When each event of a story happens."""
    now_ns, out = 10**18, []
    for event in story:
        now_ns += event.wait_ns
        out.append((now_ns, event))
    return out


@seldom
@given(stories)
def test_never_two_sources_in_one_period(story):
    sent = [each for each in play(story) if each.order is not None]
    for one, other in itertools.pairwise(sent):
        if one.source != other.source:
            assert other.now_ns - one.now_ns >= RULES.period_ns


@seldom
@given(stories)
def test_nobody_else_is_heard_while_a_person_commands_and_for_a_while_after(story):
    person = [ns for ns, e in times(story) if e.order is not None and e.order.source == PERSON]
    for each in play(story):
        if each.source != PERSON:
            # The instant itself counts before or after, as the events are ordered.
            assert not any(0 < each.now_ns - ns <= RULES.hold_off_ns for ns in person)


@seldom
@given(stories)
def test_a_person_always_wins_within_a_period(story):
    out = play(story)
    person = [each for each in out if each.source == PERSON and each.order is not None]
    others = [each.now_ns for each in out if each.source != PERSON and each.order is not None]
    for now_ns, event in times(story):
        order = event.order
        if order is None or order.source != PERSON or order.said not in ("", PERSON):
            continue
        limit_ns = RULES.max_arm_age_ns if order.part == "arm" else RULES.max_hand_age_ns
        if not order.finite or not -RULES.max_ahead_ns <= event.age_ns <= limit_ns:
            continue
        if all(not 0 <= now_ns - ns < RULES.period_ns for ns in others):
            assert any(each.now_ns == now_ns for each in person)


@seldom
@given(stories)
def test_a_moving_arm_gets_one_zero_then_silence(story):
    out = play(story, then_ns=2 * RULES.hold_off_ns)
    arm = [each for each in out if each.arm]
    moved = [at for at, each in enumerate(arm) if each.moves]
    if not moved:
        assert all(each.order is not None for each in arm)
        return
    after = arm[moved[-1] + 1 :]
    assert after, "the last motion was never stopped"
    # Zeros of the sources themselves may follow; the arbiter adds its own only where none came.
    own = [each for each in after if each.order is None]
    assert len(own) == (0 if after[0].order is not None else 1)
    assert after[0].now_ns - arm[moved[-1]].now_ns <= RULES.silence_ns + 2 * TICK_NS


@seldom
@given(stories)
def test_a_zero_of_the_arbiter_always_ends_a_motion(story):
    arm = [each for each in play(story, then_ns=RULES.hold_off_ns) if each.arm]
    for before, each in zip([None, *arm], arm, strict=False):
        if each.order is None:
            assert before is not None and before.moves


@seldom
@given(stories)
def test_at_a_hand_over_a_moving_arm_is_stopped_first(story):
    arm = [each for each in play(story) if each.arm]
    for before, each in itertools.pairwise(arm):
        if before.moves and each.moves:
            assert before.source == each.source


@seldom
@given(stories)
def test_what_is_forwarded_is_fresh_finite_and_says_its_own_name(story):
    for each in play(story):
        if each.order is None:
            continue
        arm = each.order.part == "arm"
        limit_ns = RULES.max_arm_age_ns if arm else RULES.max_hand_age_ns
        assert -RULES.max_ahead_ns <= each.age_ns <= limit_ns
        assert each.order.finite and each.order.said in ("", each.source)


@seldom
@given(stories, stories)
def test_disabled_nobody_commands(before, after):
    arbiter, now_ns, moving = Arbiter(RULES), 10**18, False
    for each in before:
        now_ns += each.wait_ns
        if each.order is None:
            moving = moving and not arbiter.tick(now_ns)
            continue
        ruling = arbiter.hear(replace(each.order, stamp_ns=now_ns), now_ns)
        moving = moving and not ruling.zero_by
        if ruling.forward and each.order.part == "arm":
            moving = not each.order.still
    assert bool(arbiter.enable(False)) == moving
    for each in after:
        now_ns += each.wait_ns
        assert not arbiter.tick(now_ns)
        if each.order is not None:
            ruling = arbiter.hear(replace(each.order, stamp_ns=now_ns), now_ns)
            assert not ruling.forward and not ruling.zero_by


@seldom
@given(stories, st.integers(1, 10**10))
def test_a_clock_that_turns_back_ends_all_claims(story, back_ns):
    arbiter, now_ns, moving = Arbiter(RULES), 10**18, False
    for each in story:
        now_ns += each.wait_ns
        if each.order is None:
            continue
        ruling = arbiter.hear(replace(each.order, stamp_ns=now_ns), now_ns)
        moving = moving and not ruling.zero_by
        if ruling.forward and each.order.part == "arm":
            moving = not each.order.still
    stopped = arbiter.tick(now_ns)
    assert bool(arbiter.tick(now_ns - back_ns)) == (moving and not stopped)
    assert arbiter.owner == ""


def test_one_who_waited_commands_once_the_other_is_silent():
    arbiter, now_ns = Arbiter(RULES), 10**18
    assert arbiter.hear(Order(PERSON, "arm", now_ns), now_ns).forward
    now_ns += RULES.hold_off_ns
    assert arbiter.hear(Order("policy", "arm", now_ns), now_ns).kind == "yields"
    now_ns += 1
    assert arbiter.hear(Order("policy", "arm", now_ns), now_ns).forward
    assert arbiter.owner == "policy"
