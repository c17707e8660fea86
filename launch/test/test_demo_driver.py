"""Who drives the demo, with which episodes, and what is asked of it."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from lam_bringup import demo
from lam_bringup.demo_driver import EXPERT, driver_named, policy_driver
from lam_models.command import UserError
from lam_models.policy import shipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As much of a policy's folder as is looked at here."""
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def test_the_shipped_policy_is_run_unless_another_is_named(folder, monkeypatch):
    monkeypatch.setattr(shipped, "_FOLDER", folder)
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    args = parser.parse_args([])
    driver = driver_named(args.policy)
    assert driver.policy == folder and driver.name == "policy"
    assert (args.tasks, args.hands, args.difficulty) == (None, None, None)
    assert driver_named(parser.parse_args(["--policy", "expert"]).policy) is EXPERT
    assert driver_named(parser.parse_args(["--policy", str(folder)]).policy).policy == folder


def test_where_no_policy_is_that_is_said(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"is no policy: it holds no config\.json"):
        driver_named(str(tmp_path))
    for empty in (tmp_path, tmp_path / "absent"):
        monkeypatch.setattr(shipped, "_FOLDER", empty)
        with pytest.raises(UserError, match="no trained policy is shipped"):
            driver_named("shipped")


def test_the_expert_does_every_task_with_every_hand_in_one_launch():
    plans = EXPERT.plans(10, 5, EXPERT.tasks, EXPERT.hands)
    pairs = {(plan.task, plan.hand) for plan in plans}
    assert pairs == {(task, hand) for task in EXPERT.tasks for hand in EXPERT.hands}
    assert [plan.seed for plan in plans] == list(range(5, 15))
    assert [plan.number for plan in plans] == list(range(1, 11))
    ((words, of_launch),) = EXPERT.launches(plans)
    assert words[0] == "demo.launch.xml" and of_launch == plans


def test_a_policy_does_every_task_with_two_hands(folder):
    driver = policy_driver(folder)
    plans = driver.plans(10, 0, driver.tasks, driver.hands)
    pairs = {(plan.task, plan.hand) for plan in plans}
    assert pairs == {(task, hand) for task in driver.tasks for hand in driver.hands}
    words = driver.launches(plans)[0][0]
    assert words[0] == "policy.launch.xml"
    given = {f"policy:={folder}", "sim:=true", "use_sim_time:=true", "hand:=parallel_gripper"}
    assert given == set(words[1:])


def test_each_hand_of_a_policy_is_a_launch(folder):
    driver = policy_driver(folder)
    plans = driver.plans(5, 7, ["reach"], ["four_finger", "parallel_gripper"])
    launches = driver.launches(plans)
    assert [words[-1] for words, _ in launches] == ["hand:=four_finger", "hand:=parallel_gripper"]
    assert [[plan.number for plan in of_launch] for _, of_launch in launches] == [[1, 2, 3], [4, 5]]
    assert [plan.seed for plan in plans] == list(range(7, 12))


def test_no_episodes_is_a_mistake():
    with pytest.raises(UserError, match="--episodes is 0"):
        EXPERT.plans(0, 0, EXPERT.tasks, EXPERT.hands)


def test_half_of_a_policys_episodes_are_to_succeed_and_all_of_the_experts(folder):
    assert [EXPERT.needed(count) for count in (1, 10)] == [1, 10]
    assert [policy_driver(folder).needed(count) for count in (1, 3, 10)] == [1, 2, 5]
