"""Laws of every task, over the whole registry."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from lam_models.command import UserError
from lam_models.types import Action
from lam_sim.table.scene import SHAPES
from lam_sim.table.world import TableWorld, WorldSettings
from lam_sim.tasks import NEW_TASKS, TASKS, task_class
from lam_sim.tasks.things import COLORS, NOUNS, SHAPES_ROUND
from lam_sim.worlds import selection


class Sketch:
    """Stands in for a Scene and notes what a task adds to it."""

    def __init__(self) -> None:
        self.added: dict[str, dict[str, Any]] = {}

    def add_object(self, name: str, shape: str, color: str, position_m: Any, **rest: Any) -> None:
        self.added[name] = {"shape": shape, "color": color, "at": tuple(position_m), **rest}

    def add_zone(self, name: str, color: str, center_m: Any, radius_m: float) -> None:
        self.added[name] = {"color": color, "at": tuple(center_m), "radius_m": radius_m}

    def add_bowl(self, name: str, color: str, center_m: Any, radius_m: float) -> None:
        self.added[name] = {"color": color, "at": tuple(center_m), "radius_m": radius_m}

    def add_drawer(self, name: str, color: str, center_m: Any, yaw_rad: float) -> None:
        self.added[name] = {"color": color, "at": tuple(center_m), "yaw_rad": yaw_rad}

    def add_absent(self, name: str) -> None:
        self.added[name] = {}


def sketch(name: str, seed: int, difficulty: float) -> tuple[str, dict[str, dict[str, Any]]]:
    """Instruction and contents of one draw."""
    task = task_class(name).sample(np.random.default_rng(seed), difficulty)
    scene: Any = Sketch()
    task.build(scene)
    return task.instruction, scene.added


def described(thing: dict[str, Any], text: str) -> bool:
    """Whether words of the text, read alone, fit this object."""
    if "shape" not in thing:
        return False
    nouns = "|".join(NOUNS[thing["shape"]])
    return re.search(rf"\b({thing['color']} ({nouns}|object)|the ({nouns}))\b", text) is not None


@pytest.mark.parametrize("name", TASKS)
def test_same_draw_same_episode(name: str) -> None:
    assert sketch(name, 3, 0.5) == sketch(name, 3, 0.5)
    assert len({str(sketch(name, seed, 0.5)) for seed in range(20)}) == 20


@pytest.mark.parametrize("name", TASKS)
def test_bodies_are_the_same_for_every_draw(name: str) -> None:
    draws = [sketch(name, seed, d)[1] for seed in range(10) for d in (0.0, 0.3, 1.0)]
    assert len({tuple(draw) for draw in draws}) == 1


@pytest.mark.parametrize("name", TASKS)
def test_words_vary_and_are_whole(name: str) -> None:
    texts = {sketch(name, seed, 1.0)[0] for seed in range(100)}
    assert len(texts) > 20
    assert not any("{" in text for text in texts)


@pytest.mark.parametrize("difficulty", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", ["reach", "push_to_zone", "pick_place", "stack", "place_crate"])
def test_words_single_the_target_out(name: str, difficulty: float) -> None:
    for seed in range(100):
        text, things = sketch(name, seed, difficulty)
        meant = {"target", "base"} & things.keys()
        assert {body for body in things if described(things[body], text)} == meant, text


@pytest.mark.parametrize(
    ("name", "meant", "other"),
    [("push_to_zone", "goal", "other_zone"), ("open_drawer", "drawer", "other_drawer")],
)
def test_words_name_the_goals_color(name: str, meant: str, other: str) -> None:
    for seed in range(100):
        text, things = sketch(name, seed, 1.0)
        # What comes last: a colour before it is the target's.
        said = [word for word in re.findall(r"\w+", text) if word in COLORS]
        assert things[meant]["color"] != things[other]["color"]
        assert said[-1:] == [things[meant]["color"]] or re.search("(left|right) drawer", text)


def test_left_and_right_are_the_robots() -> None:
    for seed in range(100):
        text, things = sketch("open_drawer", seed, 1.0)
        if " left " in text:
            assert things["drawer"]["at"][1] > things["other_drawer"]["at"][1]
        if " right " in text:
            assert things["drawer"]["at"][1] < things["other_drawer"]["at"][1]


def test_harder_draws_have_more_and_more_confusing_others() -> None:
    def confusing(difficulty: float) -> int:
        count = 0
        for seed in range(50):
            _, things = sketch("pick_place", seed, difficulty)
            target = things["target"]
            others = [thing for name, thing in things.items() if name.startswith("other")]
            count += sum(
                thing["color"] == target["color"] or thing["shape"] == target["shape"]
                for thing in others
                if thing
            )
        return count

    assert confusing(0.0) < confusing(0.5) < confusing(1.0)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("difficulty", [-0.1, 1.1])
def test_difficulty_has_bounds(name: str, difficulty: float) -> None:
    with pytest.raises(ValueError, match="outside"):
        task_class(name).sample(np.random.default_rng(0), difficulty)


def test_all_tasks_are_those_that_are_trained_on() -> None:
    every = selection("task", "all", TASKS)
    assert set(every) == TASKS.keys() - NEW_TASKS and NEW_TASKS
    assert selection("task", "place_crate", TASKS) == ("place_crate",)


def test_the_new_task_shows_and_says_what_no_other_does() -> None:
    def told(name: str) -> tuple[set[str], set[str], set[str]]:
        shapes, colors, words = set[str](), set[str](), set[str]()
        for seed in range(60):
            text, things = sketch(name, seed, 1.0)
            shapes |= {thing["shape"] for thing in things.values() if "shape" in thing}
            colors |= {thing["color"] for thing in things.values() if "color" in thing}
            words |= set(re.findall(r"\w+", text.lower()))
        return shapes, colors, words

    known = [told(name) for name in TASKS if name not in NEW_TASKS]
    shapes, colors, words = (set[str]().union(*each) for each in zip(*known, strict=True))
    new_shapes, new_colors, new_words = told("place_crate")
    assert new_shapes - shapes == {"crate"} and new_colors - colors == {"pink"}
    assert {"pink", "crate", "tidy"} <= new_words - words


def test_an_unknown_task_is_named_with_its_neighbour() -> None:
    with pytest.raises(UserError, match=r"'stak'.*'stack'"):
        task_class("stak")


def test_shapes_that_are_spoken_of_exist() -> None:
    assert NOUNS.keys() == set(SHAPES)
    assert set(SHAPES_ROUND) <= set(SHAPES)


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("difficulty", [0.0, 1.0])
def test_without_a_hand_nothing_moves_and_nothing_is_done(name: str, difficulty: float) -> None:
    """Things that overlapped or did not stand would move by themselves."""
    world = TableWorld(WorldSettings(task=name, difficulty=difficulty))
    for seed in range(6):
        world.reset(seed)
        before = world.truth()
        still = Action(np.zeros(6), world.effector.open)
        for _ in range(20):
            assert not world.succeeded(), f"seed {seed}"
            world.step(still)
        after = world.truth()
        for body, T_base_body in before.bodies.items():
            moved_m = np.linalg.norm(after.bodies[body][:3, 3] - T_base_body[:3, 3])
            assert moved_m < 0.002, f"seed {seed}: {body}"
