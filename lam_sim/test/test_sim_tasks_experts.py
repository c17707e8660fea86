"""Laws of the scripted experts: every task and end effector, late, disturbed, interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from lam_models.types import Action
from lam_sim.interface import Expert, Truth
from lam_sim.table.effectors import EFFECTORS
from lam_sim.table.world import TableWorld, WorldSettings
from lam_sim.tasks import TASKS, task_class
from lam_sim.tasks.noise import ActionNoise


@dataclass
class Run:
    """What happened in an episode."""

    succeeded: bool = False
    actions: list[Action] = field(default_factory=list)


def run(
    world: TableWorld,
    expert: Expert,
    *,
    late_ticks: int = 0,
    execute: Callable[[Action, Truth], Action] = lambda action, truth: action,
) -> Run:
    """Let the expert act to the episode's end, on truth of `late_ticks` control periods ago."""
    out, seen = Run(), [world.truth()]
    limit_s = task_class(world.settings.task).time_limit_s
    while world.time_s < limit_s and not out.succeeded:
        action = expert.act(seen[max(0, len(seen) - 1 - late_ticks)])
        out.actions.append(action)
        world.step(execute(action, seen[-1]))
        seen.append(world.truth())
        out.succeeded = world.succeeded()
    return out


@pytest.fixture(params=TASKS)
def world(request: pytest.FixtureRequest) -> Iterator[TableWorld]:
    world = TableWorld(WorldSettings(task=request.param))
    yield world
    world.close()


@pytest.mark.parametrize("effector", EFFECTORS)
@pytest.mark.parametrize("name", TASKS)
def test_experts_succeed(name: str, effector: str) -> None:
    world = TableWorld(WorldSettings(task=name, end_effector=effector))
    for seed in range(3):
        world.reset(seed)
        assert run(world, world.expert()).succeeded, f"seed {seed}: {world.instruction}"


def test_steps_are_bounded_and_smooth(world: TableWorld) -> None:
    actions = run(world, world.expert()).actions
    steps_m = np.array([action.delta_ee[:3] for action in actions])
    turns_rad = np.array([action.delta_ee[3:] for action in actions])
    assert np.linalg.norm(steps_m, axis=1).max() < 0.03
    assert np.linalg.norm(turns_rad, axis=1).max() < 0.15
    assert np.linalg.norm(np.diff(steps_m, axis=0), axis=1).max() < 0.01


def test_experts_bear_late_truth(world: TableWorld) -> None:
    assert run(world, world.expert(), late_ticks=2).succeeded


def test_experts_know_nothing_but_truth(world: TableWorld) -> None:
    """An expert of another draw of the task solves this one: it may stand across a network."""
    rng = np.random.default_rng(99)
    stranger = task_class(world.settings.task).sample(rng, 0.0)
    assert run(world, stranger.expert(world.effector, rng)).succeeded


def test_experts_come_back_from_disturbance(world: TableWorld) -> None:
    noise = ActionNoise(np.random.default_rng(0), correlation=0.5)
    assert run(world, world.expert(), execute=lambda action, truth: noise(action)).succeeded


@pytest.mark.parametrize("name", ["pick_place", "stack"])
@pytest.mark.parametrize("effector", EFFECTORS)
def test_a_thing_that_falls_is_picked_up_again(name: str, effector: str) -> None:
    world = TableWorld(WorldSettings(task=name, end_effector=effector, difficulty=0.0), seed=1)
    opened = 0

    def drop_once(action: Action, truth: Truth) -> Action:
        nonlocal opened
        lifted = truth.bodies["target"][2, 3] > 0.05
        if opened < 6 and (lifted or opened):
            opened += 1
            return Action(action.delta_ee, world.effector.open)
        return action

    assert run(world, world.expert(), execute=drop_once).succeeded
    assert opened == 6


def test_noise_is_a_function_of_its_rng_and_leaves_the_label_alone() -> None:
    label = Action(np.array([0.02, 0.0, 0.0, 0.0, 0.0, 0.0]), np.ones(3))

    def executed() -> list[Action]:
        noise = ActionNoise(np.random.default_rng(5))
        return [noise(label) for _ in range(4)]

    for one, other in zip(executed(), executed(), strict=True):
        assert np.array_equal(one.delta_ee, other.delta_ee)
        assert np.array_equal(one.hand, label.hand)
    assert np.array_equal(label.delta_ee, [0.02, 0.0, 0.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_noise_has_the_strength_and_correlation_it_is_asked_for(correlation: float) -> None:
    noise = ActionNoise(np.random.default_rng(0), 0.006, 0.01, correlation)
    label = Action(np.array([0.02, 0.0, 0.0, 0.0, 0.0, 0.0]))
    extra = np.array([noise(label).delta_ee - label.delta_ee for _ in range(8000)])
    assert np.allclose(extra.std(axis=0), [0.006] * 3 + [0.01] * 3, rtol=0.1)
    assert np.isclose(np.corrcoef(extra[1:, 1], extra[:-1, 1])[0, 1], correlation, atol=0.05)


def test_noise_is_less_where_the_action_is_small() -> None:
    rest, moving = Action(np.zeros(6)), Action(np.array([0.02, 0, 0, 0, 0, 0]))
    quiet = ActionNoise(np.random.default_rng(0))(rest)
    loud = ActionNoise(np.random.default_rng(0))(moving)
    assert 0.0 < np.linalg.norm(quiet.delta_ee) < np.linalg.norm(loud.delta_ee - moving.delta_ee)


def test_noise_refuses_a_correlation_of_one() -> None:
    with pytest.raises(ValueError, match="correlation"):
        ActionNoise(np.random.default_rng(0), correlation=1.0)
