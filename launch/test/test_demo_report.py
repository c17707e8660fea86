"""What the demo prints and writes."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from lam_bringup.demo_report import Outcome, Plan, Reporter, write_success

PLANS = [Plan(1, "reach", "five_finger", 3), Plan(2, "stack", "parallel_gripper", 4)]
OUTCOMES = [
    Outcome(PLANS[0], True, "go to the cube", 1.25, 40, 39),
    Outcome(PLANS[1], False, "stack [red] on blue", 10.0, 9, 9, "the task's time limit passed"),
]


def test_success_files(tmp_path):
    write_success(tmp_path, OUTCOMES, "a/folder")
    written = json.loads((tmp_path / "success.json").read_text())
    assert (written["episodes"], written["succeeded"]) == (2, 1)
    assert written["policy"] == "a/folder"
    assert written["runs"][1]["reason"] == "the task's time limit passed"
    assert written["runs"][0]["task"] == "reach"
    text = (tmp_path / "success.md").read_text()
    assert text.startswith("1 of 2 episodes succeeded.")
    assert "a/folder" in text
    assert text.count("\n|") == 4


@pytest.mark.parametrize(("terminal", "kind"), [(True, "xterm"), (True, "dumb"), (False, "xterm")])
def test_the_report_names_every_episode_and_its_result(terminal, kind, monkeypatch):
    monkeypatch.setenv("TERM", kind)
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
    if not terminal or kind == "dumb":
        # A line an episode and one for its result, whatever the number of progress calls.
        assert len(text.splitlines()) == 4
