"""Episodes in real time, without ROS: what moves the arm, what does not, and how they end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lam_models.command import UserError
from lam_sim.commands import CommandLimits, DeltaCommand
from lam_sim.pacing import NS_PER_S
from lam_sim.session import TICK_HZ, EpisodeRequest, Session

NOW_NS = 10**18
REACH = EpisodeRequest("reach", "parallel_gripper", seed=1, difficulty=0.5)


def new_session(**settings) -> Session:
    return Session(REACH, NOW_NS, CommandLimits(), **settings)


def run(session: Session, duration_s: float) -> np.ndarray:
    """Where the end effector is [m] after a while."""
    for _ in range(round(duration_s * TICK_HZ)):
        session.tick()
    return session.truth.T_base_ee[:3, 3].copy()


def along_x(x_m: float, source: str = "policy") -> DeltaCommand:
    delta = np.array([x_m, 0, 0, 0, 0, 0])
    return DeltaCommand(delta, "base_link", 0.1, NOW_NS, source=source)


def test_it_moves_as_told_once():
    session = new_session()
    start = run(session, 0.1)
    assert session.obey_delta(along_x(0.04), NOW_NS) == ""
    moved = run(session, 1.0) - start
    np.testing.assert_allclose(moved, [0.04, 0, 0], atol=0.003)
    np.testing.assert_allclose(run(session, 1.0) - start, moved, atol=0.001)


def test_noise_disturbs_what_moves_and_nothing_that_stands():
    def moved(command: DeltaCommand, **settings) -> np.ndarray:
        session = new_session(**settings)
        start = run(session, 0.1)
        assert session.obey_delta(command, NOW_NS) == ""
        return run(session, 1.0) - start

    sound, noisy = (moved(along_x(0.04), noise_m=noise) for noise in (0.0, 0.01))
    assert 0.002 < np.linalg.norm(noisy - sound) < 0.06
    np.testing.assert_array_equal(noisy, moved(along_x(0.04), noise_m=0.01))
    still, standing = (moved(along_x(0.0), noise_m=noise) for noise in (0.0, 0.01))
    np.testing.assert_array_equal(still, standing)


def test_axes_of_the_hand_turn_with_it():
    session = new_session()
    start = run(session, 0.1)
    # Palm down: the hand's z axis is the base's -z.
    command = replace(along_x(0.0), frame="ee_link", delta_ee=np.array([0, 0, -0.03, 0, 0, 0]))
    assert session.obey_delta(command, NOW_NS) == ""
    np.testing.assert_allclose(run(session, 1.0) - start, [0, 0, 0.03], atol=0.004)


def test_a_refused_command_moves_nothing():
    session = new_session()
    start = run(session, 0.1)
    assert "stamp" in session.obey_delta(along_x(0.04), NOW_NS + NS_PER_S)
    assert "map" in session.obey_delta(replace(along_x(0.04), frame="map"), NOW_NS)
    np.testing.assert_allclose(run(session, 0.5), start, atol=0.001)


def test_a_person_wins_over_a_program():
    session = new_session()
    later_ns = NOW_NS + NS_PER_S // 10
    assert session.obey_delta(along_x(0.01, "policy"), NOW_NS) == ""
    assert session.obey_delta(along_x(0.01, "teleop"), NOW_NS) == ""
    assert "yields" in session.obey_delta(along_x(0.01, "expert"), later_ns)
    assert session.obey_delta(along_x(0.01, "teleop"), later_ns) == ""
    much_later_ns = NOW_NS + NS_PER_S
    fresh = replace(along_x(0.01, "expert"), stamp_ns=much_later_ns)
    assert session.obey_delta(fresh, much_later_ns) == ""


def test_latency_delays_the_beginning():
    session = new_session(action_latency_s=0.3)
    start = run(session, 0.1)
    session.obey_delta(along_x(0.04), NOW_NS)
    np.testing.assert_allclose(run(session, 0.25), start, atol=0.001)
    assert run(session, 1.0)[0] - start[0] == pytest.approx(0.04, abs=0.003)


@pytest.mark.parametrize(
    "change",
    [
        {"task": "nonsense"},
        {"end_effector": "nonsense"},
        {"seed": -1},
        {"difficulty": 2.0},
        {"distractors": ("nonsense",)},
    ],
)
def test_an_impossible_episode_leaves_the_old_one(change):
    session = new_session()
    run(session, 0.2)
    before, world = session.episode_id, session.world
    with pytest.raises(UserError):
        session.begin(replace(REACH, **change), NOW_NS)
    assert (session.episode_id, session.world, session.request) == (before, world, REACH)
    assert session.elapsed_s == pytest.approx(0.2)


@pytest.mark.parametrize("task", ["reach", "open_drawer"])
def test_an_expert_ends_it_once(task):
    session = new_session()
    session.begin(replace(REACH, task=task), NOW_NS)
    expert = session.world.expert()
    ends = 0
    for tick in range(15 * TICK_HZ):
        if tick % 5 == 0:
            action = expert.act(session.truth)
            command = DeltaCommand(action.delta_ee, "base_link", 0.05, NOW_NS)
            assert session.obey_delta(command, NOW_NS) == ""
            assert session.obey_hand(session.truth.joint_names, action.hand) == ""
        ends += session.tick()
    assert ends == 1
    assert session.state == "succeeded"


def test_without_commands_it_fails_when_its_time_is_over():
    session = new_session()
    while not session.tick():
        assert session.elapsed_s < 100.0
    assert session.state == "failed"


def test_episodes_have_different_names():
    session = new_session()
    first = session.episode_id
    session.begin(REACH, NOW_NS)
    assert session.episode_id != first
