"""What is said of frames while they are worked through."""

from __future__ import annotations

import pytest

from lam_models.data import progress


def test_without_a_terminal_lines_say_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_LINE_S", 0.0)
    with progress.frames_progress("labelling", 3000) as frames:
        frames.advance(1000)
        frames.advance(1500)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
    assert lines == ["labelling: 1,000 of 3,000 frames", "labelling: 2,500 of 3,000 frames"]
