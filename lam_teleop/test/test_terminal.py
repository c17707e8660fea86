"""A terminal gives single keys, and is itself again however its user ends."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest

from lam_models.command import UserError
from lam_teleop.terminal import Closed, opened

LAUNCHER = """
import subprocess, sys
code = "import os; from lam_teleop.terminal import find_terminal as find; "
code += "print(os.ttyname(find()))"
subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, start_new_session=True)
"""
CRASH = """
import os, sys
from lam_teleop.terminal import opened
terminal = opened()
terminal.__enter__()
{0}
"""


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """Our end of a pseudo-terminal, and a program's."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def test_keys_come_one_by_one_and_unseen(ends):
    ours, theirs = ends
    with opened(os.ttyname(theirs)) as terminal:
        assert terminal.read() == ""
        os.write(ours, "wä".encode())
        typed = ""
        while len(typed) < 2:
            typed += terminal.read(1.0)
        assert typed == "wä"
        terminal.write("seen")
        assert os.read(ours, 100) == b"seen"


@pytest.mark.parametrize("error", [None, UserError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_it_is_restored_on_every_way_out(ends, error):
    _, theirs = ends
    before = termios.tcgetattr(theirs)

    def use() -> None:
        with opened(os.ttyname(theirs)):
            assert termios.tcgetattr(theirs) != before
            if error is not None:
                raise error

    if error is None:
        use()
    else:
        with pytest.raises(type(error)):
            use()
    assert termios.tcgetattr(theirs) == before


@pytest.mark.parametrize("end", ["sys.exit(3)", "raise RuntimeError", "del terminal"])
def test_it_is_restored_by_a_program_that_never_leaves_the_block(ends, end):
    _, theirs = ends
    before = termios.tcgetattr(theirs)
    code = CRASH.format(end)
    subprocess.run([sys.executable, "-c", code], stdin=theirs, stderr=subprocess.DEVNULL)
    assert termios.tcgetattr(theirs) == before


def test_a_terminal_that_is_gone_says_so():
    ours, theirs = pty.openpty()
    with opened(os.ttyname(theirs)) as terminal:
        os.close(theirs)
        os.close(ours)
        terminal.write("into the void")
        with pytest.raises(Closed):
            terminal.read(10.0)


def test_a_node_without_input_finds_its_launchers_terminal(ends):
    _, theirs = ends
    words = [sys.executable, "-c", LAUNCHER]
    done = subprocess.run(words, stdin=theirs, capture_output=True, text=True)
    assert done.stdout.strip() == os.ttyname(theirs), done.stderr


def test_what_is_no_terminal_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="no terminal"), opened(str(tmp_path / "none")):
        pass
    with pytest.raises(UserError, match="/dev/null"), opened("/dev/null"):
        pass
