"""A hand that follows latents: start, silence, and a fuzz over hands, orders and latents."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from retarget_bench import DIM, all_hands, random_latents, random_space

from lam_models.command import UserError
from lam_models.hands.driver import driver_units
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_file import read_hand, shipped_hands
from lam_retarget.following import GAP_PERIODS, Follower, Manners
from lam_retarget.judging import NS_PER_S, Heard

START = 1_000 * NS_PER_S
UNMEASURED = Manners(measured_start=False)


@cache
def space():
    return random_space(all_hands())


def heard(latents: np.ndarray, now_ns: int, **fields) -> Heard:
    latents = np.atleast_2d(latents).astype(np.float32)
    spec = space().latent
    base = Heard(spec.name, spec.space_hash, len(latents), DIM, latents.ravel(), now_ns)
    return replace(base, **fields)


def play(follower: Follower, now_ns: int, count: int) -> tuple[list[np.ndarray], int]:
    """What is said in so many periods of the driver, without another latent."""
    said, period_ns = [], round(NS_PER_S / follower.spec.command.rate_hz)
    for _ in range(count):
        now_ns += period_ns
        if (q := follower.advance(now_ns)) is not None:
            said.append(q)
    return said, now_ns


def test_nothing_is_said_before_the_first_valid_latent():
    follower = Follower(read_hand("allegro"), space(), UNMEASURED)
    assert play(follower, START, 5)[0] == []
    follower.hear(heard(np.full(DIM, np.nan), START), START)
    assert play(follower, START, 5)[0] == []
    assert follower.holding.startswith("not_finite")


def test_the_first_command_starts_where_the_hand_is():
    spec, latent = read_hand("shadow"), random_latents(1, 0)[0]
    follower = Follower(spec, space(), Manners())
    follower.hear(heard(latent, START), START)
    assert follower.advance(START) is None
    assert follower.holding == f"no measured position of '{spec.actuated[0]}'"
    # Joint states tell of the coupled joints, not of the motor that moves both.
    moved = [name for name in spec.names if name not in spec.actuated]
    direct = [name for name in spec.actuated if not any(follows(spec, m) == name for m in moved)]
    q = spec.sample(1, 3)[0]
    everything = dict(zip(spec.names, spec.expand(q), strict=True))
    names = [*moved, *direct]
    follower.measured(names, [everything[name] for name in names], START)
    first = follower.advance(START + 1)
    assert first is not None
    reach = spec.max_acceleration / spec.command.rate_hz**2
    assert np.all(np.abs(first - q) <= reach + 1e-9)


def test_an_episode_begins_where_the_hand_is_then():
    spec = read_hand("parallel_gripper")
    follower, (latent, other) = Follower(spec, space(), Manners()), random_latents(2, 0)
    follower.measured(spec.names, spec.expand(spec.lower).tolist(), START)
    follower.hear(heard(latent, START), START)
    said, now_ns = play(follower, START, 5)
    assert said
    follower.begin_episode(now_ns, now_ns)
    assert play(follower, now_ns, 5)[0] == [], "nothing before a latent of this episode"
    late = follower.hear(heard(other, now_ns), now_ns)
    assert late.kind == "stale" and "episode" in late.words
    follower.measured(spec.names, spec.expand(spec.upper).tolist(), now_ns)
    follower.hear(heard(other, now_ns + 1), now_ns + 1)
    (first, *_), _ = play(follower, now_ns, 1)
    reach = spec.max_acceleration / spec.command.rate_hz**2
    assert np.all(np.abs(first - spec.upper) <= reach + 1e-9)
    follower.begin_episode(now_ns + 10**12, now_ns)
    assert follower.hear(heard(other, now_ns + 1), now_ns + 1).kind == "ok"


def follows(spec: HandSpec, name: str) -> str:
    joint = spec.joints[name]
    return joint.follows.joint if joint.follows else ""


def test_an_old_measurement_is_none():
    spec = read_hand("four_finger")
    follower = Follower(spec, space(), Manners())
    follower.measured(spec.actuated, spec.lower.tolist(), START - 2 * NS_PER_S)
    follower.hear(heard(random_latents(1, 0)[0], START), START)
    assert follower.advance(START) is None


@pytest.mark.parametrize("name", ["parallel_gripper", "ability"])
def test_silence_stops_the_hand_and_the_file_says_what_follows(name):
    spec = read_hand(name)
    slow = Manners(measured_start=False, speed_scale=0.01)
    follower, latents = Follower(spec, space(), slow), random_latents(2, 1)
    follower.hear(heard(latents[0], START), START)
    first = follower.advance(START)
    follower.hear(heard(latents[1], START + 1), START + 1)
    said, now_ns = play(follower, START + 1, int(10 * spec.command.rate_hz))
    assert first is not None and follower.holding.startswith("silence")
    target = space().coder_for(spec).decode(latents[1])
    assert np.abs(said[-1] - target).max() < np.abs(first - target).max()
    assert np.abs(said[-1] - target).max() > 1e-4
    later, now_ns = play(follower, now_ns, 5)
    assert len(later) == (5 if spec.command.on_silence == "repeat" else 0)
    assert all(np.array_equal(q, said[-1]) for q in later)
    follower.hear(heard(latents[1], now_ns), now_ns)
    assert play(follower, now_ns, 1)[0] and not follower.holding


def test_a_refused_latent_stops_the_hand():
    spec, latents = read_hand("four_finger"), random_latents(2, 4)
    follower = Follower(spec, space(), UNMEASURED)
    follower.hear(heard(latents[0], START), START)
    follower.advance(START)
    follower.hear(heard(latents[1], START + 1), START + 1)
    _, now_ns = play(follower, START + 1, 1)
    follower.hear(heard(3 * latents[1], now_ns), now_ns)
    said, _ = play(follower, now_ns, 30)
    assert follower.refusals == {"off_sphere": 1}
    assert np.abs(said[-1] - space().coder_for(spec).decode(latents[1])).max() > 1e-3


def test_a_horizon_is_followed_step_by_step():
    spec, latents = read_hand("five_finger"), random_latents(3, 5)
    follower = Follower(spec, space(), UNMEASURED)
    chunk = heard(latents, START, step_ns=NS_PER_S, latency_ns=0)
    follower.hear(chunk, START)
    targets = space().coder_for(spec).decode(latents)
    now_ns = START
    for target in targets:
        said = follower.advance(now_ns)
        more, _ = play(follower, now_ns, int(0.95 * spec.command.rate_hz))
        last = [q for q in (said, *more) if q is not None][-1]
        np.testing.assert_allclose(last, target, atol=1e-6)
        now_ns += NS_PER_S
    # Silence counts from when the last step became due.
    assert follower.refusals == {"silence": 1}


def test_a_hand_that_the_space_never_saw_is_refused():
    lonely = random_space([read_hand("allegro")])
    with pytest.raises(UserError, match="hand of the space"):
        Follower(read_hand("shadow"), lonely, UNMEASURED)


NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=32)
# A seed of valid latents, or numbers that come from anywhere.
VALUES = st.one_of(st.integers(0, 10**6), st.lists(NUMBERS, max_size=2 * DIM))
WAITS_NS = st.one_of(
    st.integers(0, NS_PER_S // 20), st.integers(0, NS_PER_S), st.integers(-NS_PER_S, 0)
)
EVENTS = st.lists(
    st.tuples(WAITS_NS, st.integers(0, 3), VALUES, st.integers(0, 2**31)), min_size=1, max_size=30
)


def shuffled(spec: HandSpec, seed: int) -> HandSpec:
    """The hand with the channels of its driver in another order, some turned round."""
    rng = np.random.default_rng(seed)
    order = [spec.command.order[at] for at in rng.permutation(len(spec.command.order))]
    order = tuple(replace(each, sign=int(rng.choice([-1, 1]))) for each in order)
    return replace(spec, command=replace(spec.command, order=order))


def raw_values(drawn: int | list[float], horizon: int) -> np.ndarray:
    if isinstance(drawn, int):
        return random_latents(max(horizon, 1), drawn).ravel().astype(np.float32)
    return np.array(drawn, np.float32)


class Watch:
    """Sees that what is said keeps to the limits of a hand.

    After a pause of more than GAP_PERIODS the hand stands, and its first step counts as a period's.
    """

    def __init__(self, spec: HandSpec) -> None:
        self._spec, self._units = spec, driver_units(spec)
        ends = self._units.values(np.stack([spec.lower, spec.upper]))
        self._low, self._high = ends.min(axis=0) - 1e-9, ends.max(axis=0) + 1e-9
        self._q: np.ndarray | None = None
        self._speed, self._ns = np.zeros(len(spec.actuated)), 0

    def look(self, said: np.ndarray | None, now_ns: int) -> None:
        """What was said, or None where the hand stays where it was sent."""
        q = self._q if said is None else said
        if q is None:
            return
        values = self._units.values(q)
        assert np.all(values >= self._low) and np.all(values <= self._high)
        period_s = 1.0 / self._spec.command.rate_hz
        gap_s = (now_ns - self._ns) / NS_PER_S
        if self._q is not None and gap_s > 0:
            if gap_s > GAP_PERIODS * period_s:
                gap_s, self._speed = period_s, 0 * self._speed
            speed = (q - self._q) / gap_s
            # A nanometre or nanoradian may be taken at once where the target is.
            slack = 1e-9 / gap_s + np.sqrt(2e-9 * self._spec.max_acceleration)
            assert np.all(np.abs(speed) <= self._spec.max_speed * 1.000001 + slack)
            bound = self._spec.max_acceleration * gap_s * 1.000001
            assert np.all(np.abs(speed - self._speed) <= bound + 2 * slack)
            self._speed = speed
        elif self._q is not None and gap_s < 0:
            self._speed = 0 * self._speed
            np.testing.assert_allclose(q, self._q, atol=2e-9)
        self._q, self._ns = q, now_ns


@settings(deadline=None, max_examples=60, phases=(Phase.reuse, Phase.generate))
@given(st.sampled_from(sorted(shipped_hands())), st.integers(0, 1000), EVENTS)
def test_whatever_comes_limits_speed_and_acceleration_hold(name, order, events):
    spec = shuffled(read_hand(name), order)
    follower, watch, now_ns = Follower(spec, space(), UNMEASURED), Watch(spec), START
    for wait_ns, horizon, drawn, step_ns in events:
        now_ns += wait_ns
        values = raw_values(drawn, horizon)
        follower.hear(heard(values, now_ns, horizon=horizon, dim=DIM, step_ns=step_ns), now_ns)
        watch.look(follower.advance(now_ns), now_ns)
