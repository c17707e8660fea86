"""What the demo prints and writes."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from lam_bringup.demo import HANDS, TASKS, make_plans
from lam_bringup.demo_report import Outcome, Plan, Reporter, write_success
from lam_models.command import UserError

PLANS = [Plan(1, "reach", "five_finger", 3), Plan(2, "stack", "parallel_gripper", 4)]
OUTCOMES = [
    Outcome(PLANS[0], True, "go to the cube", 1.25, 40, 39),
    Outcome(PLANS[1], False, "stack [red] on blue", 10.0, 9, 9, "the task's time limit passed"),
]


def test_ten_episodes_use_every_task_with_every_hand():
    plans = make_plans(10, 5, TASKS, HANDS)
    assert {(plan.task, plan.hand) for plan in plans} == {(t, h) for t in TASKS for h in HANDS}
    assert [plan.seed for plan in plans] == list(range(5, 15))
    assert [plan.number for plan in plans] == list(range(1, 11))


def test_no_episodes_is_a_mistake():
    with pytest.raises(UserError, match="--episodes is 0"):
        make_plans(0, 0, TASKS, HANDS)


def test_success_files(tmp_path):
    write_success(tmp_path, OUTCOMES)
    written = json.loads((tmp_path / "success.json").read_text())
    assert (written["episodes"], written["succeeded"]) == (2, 1)
    assert written["runs"][1]["reason"] == "the task's time limit passed"
    assert written["runs"][0]["task"] == "reach"
    text = (tmp_path / "success.md").read_text()
    assert text.startswith("1 of 2 episodes succeeded.")
    assert text.count("\n|") == 4


@pytest.mark.parametrize("terminal", [True, False])
def test_the_report_names_every_episode_and_its_result(terminal):
    out = io.StringIO()
    reporter = Reporter(PLANS, Console(file=out, force_terminal=terminal, width=140))
    with reporter.showing():
        for outcome in OUTCOMES:
            for elapsed_s in (0.0, 0.5):
                reporter.running(outcome.plan, outcome.instruction, elapsed_s)
            reporter.finished(outcome)
    text = out.getvalue()
    for word in ("reach", "stack", "go to the cube", "success", "time limit"):
        assert word in text
    if not terminal:
        # A line an episode and one for its result, whatever the number of progress calls.
        assert len(text.splitlines()) == 4
