"""What is said of many episodes while they are played."""

from __future__ import annotations

import pytest

from lam_sim.rollouts import progress


def test_without_a_terminal_lines_say_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_LINE_S", 0.0)
    with progress.episodes_progress("data", 3) as episodes:
        for success in (True, False, True):
            episodes.note(success)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert [line.partition(", ")[0] for line in lines] == [f"data: {n} episodes" for n in (1, 2, 3)]
    assert "67 % succeed" in lines[2] and lines[2].endswith("(of 3)")


def test_lines_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.episodes_progress("data", 100) as episodes:
        for _ in range(100):
            episodes.note(True)
    assert not capsys.readouterr().out.strip()
