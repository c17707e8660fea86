"""The `lam` command and `lam launch`, with subcommands and packages made up for the test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lam_bringup import cli
from lam_bringup.domain_lock import DomainLock
from lam_models.command import UserError

COMMANDS = {
    "good.py": """
SUMMARY: str = "do good"
def add_arguments(parser): parser.add_argument("--times", type=int, required=True)
def run(args): return 10 + args.times
""",
    "wrong.py": """
SUMMARY = "find mistakes of the user"
from lam_models.command import UserError
def add_arguments(parser): parser.add_argument("--how", default="user")
def run(args):
    if args.how == "user": raise UserError("no folder 'x':\\n  try another")
    if args.how == "interrupt": raise KeyboardInterrupt
    raise ZeroDivisionError("by nought")
""",
    "broken.py": "SUMMARY = 'be broken'\nimport no_such_module\n",
}
ENTRIES = """
[lam.commands]
good = made_up.good
wrong = made_up.wrong
broken = made_up.broken
absent = made_up.absent
family.good = made_up.good
family.wrong = made_up.wrong
"""


@pytest.fixture(autouse=True)
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution with subcommands, some of them broken."""
    package, info = tmp_path / "made_up", tmp_path / "made_up-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    for name, text in {"__init__.py": "", **COMMANDS}.items():
        (package / name).write_text(text)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_help_lists_all_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["--help"], ["-h"], ["help"]):
        assert cli.main(words) == 0
        out = capsys.readouterr().out
        for line in ("good", "do good"), ("family wrong", "find mistakes"), ("broken", "be broken"):
            assert any(all(word in text for word in line) for text in out.splitlines()), line
    assert "made_up.broken" not in sys.modules and "made_up.good" not in sys.modules


def test_families_come_after_single_commands(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    at = {word: i for i, line in enumerate(lines) for word in [" ".join(line.split()[:2])]}
    assert at["good do"] < at["family good"] == at["family wrong"] - 1
    assert lines[at["family good"] - 1] == ""


def test_help_of_a_family_and_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["family"], ["family", "--help"]):
        assert cli.main(words) == 0
        out = capsys.readouterr().out
        assert "family good" in out and "broken" not in out
    with pytest.raises(SystemExit) as done:
        cli.main(["family", "good", "--help"])
    assert done.value.code == 0
    assert "usage: lam family good" in capsys.readouterr().out


def test_a_command_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["family", "good", "--times", "3"]) == 13


ONE_LINE = {
    "goood": (2, "unknown command 'goood'. Did you mean 'good'? See lam --help."),
    "family god": (2, "unknown command 'family god'. Did you mean 'family good'?"),
    "famly good": (2, "unknown command 'famly good'. Did you mean 'family good'?"),
    "--vrsion": (2, "unknown option '--vrsion'"),
    "good": (2, "the following arguments are required: --times. See lam good --help."),
    "good --times x": (2, "argument --times: invalid int value: 'x'"),
    "wrong": (2, "no folder 'x': try another"),
    "wrong --how else": (
        1,
        "ZeroDivisionError: by nought (where: lam --traceback wrong --how else)",
    ),
    "broken": (1, "ModuleNotFoundError: No module named 'no_such_module'"),
    "absent": (1, "ModuleNotFoundError: No module named 'made_up.absent'"),
}


@pytest.mark.parametrize("line", ONE_LINE)
def test_a_mistake_is_one_line(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, wanted = ONE_LINE[line]
    assert cli.main(line.split()) == code
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("lam: ") and wanted in err


def test_a_traceback_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError):
        cli.main(["--traceback", "wrong", "--how", "else"])
    assert cli.main(["wrong", "--traceback"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_interruption_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["wrong", "--how", "interrupt"]) == 130
    assert capsys.readouterr().err == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("lam 0.")


def test_nobody_reads_the_help() -> None:
    line = f"{sys.executable} -m lam_bringup.cli --help | true"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""


NODE = """#!/bin/sh
trap 'echo stopped; exit 0' INT
echo "started $*"
while :; do sleep 0.1; done
"""
LAUNCH = """<launch>
<arg name="who" default="world" description="whom to greet"><choice value="world"/>
<choice value="moon"/></arg>
<node pkg="made_up_robot" exec="greet" args="$(var who)" output="screen"/>
</launch>"""


@pytest.fixture
def robot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with one executable and one launch file, and a runtime folder of its own."""
    prefix = tmp_path / "prefix"
    for folder in ("share/ament_index/resource_index/packages", "lib/made_up_robot"):
        (prefix / folder).mkdir(parents=True)
    (prefix / "share/ament_index/resource_index/packages/made_up_robot").touch()
    launch = prefix / "share/made_up_robot/launch"
    launch.mkdir(parents=True)
    (launch / "greet.launch.xml").write_text(LAUNCH)
    executable = prefix / "lib/made_up_robot/greet"
    executable.write_text(NODE)
    executable.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{prefix}:{os.environ['AMENT_PREFIX_PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("ROS_LOG_DIR", str(tmp_path / "log"))
    return launch / "greet.launch.xml"


def test_a_file_is_found_by_path_and_by_package(
    robot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ([str(robot)], ["made_up_robot", "greet.launch.xml"], ["made_up_robot", "greet"]):
        assert cli.main(["launch", *words, "--print", "who:=moon"]) == 0
        assert capsys.readouterr().out == "ros2 run made_up_robot greet moon --ros-args\n"


def test_arguments_are_shown(robot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["launch", str(robot), "--show-args"]) == 0
    out = capsys.readouterr().out
    for text in ("who: default 'world'", "whom to greet", "one of: world, moon"):
        assert text in out


LAUNCH_MISTAKES = {
    "made_up_robot greet wo:=moon": "unknown launch argument 'wo'. Did you mean 'who'? Known: who.",
    "made_up_robot greet who:=mon": "unknown who 'mon'. Did you mean 'moon'?",
    "made_up_robot greet who:=moon who:=moon": "'who' is given twice",
    "made_up_robot gret": "unknown launch file of made_up_robot 'gret'",
    "mad_up_robot greet": "unknown package 'mad_up_robot'. Did you mean 'made_up_robot'?",
    "./nowhere.launch.xml": "no launch file",
    "a b c": "give FILE or PACKAGE FILE",
}


@pytest.mark.parametrize("line", LAUNCH_MISTAKES)
def test_a_mistake_in_launching_is_one_line(
    robot: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["launch", *line.split()]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and LAUNCH_MISTAKES[line] in err


def test_an_executable_that_is_not_there(robot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    robot.write_text(LAUNCH.replace('exec="greet"', 'exec="gret"'))
    assert cli.main(["launch", str(robot)]) == 2
    err = capsys.readouterr().err
    assert "unknown executable of package made_up_robot 'gret'. Did you mean 'greet'?" in err


def lam_launch(robot: Path, domain: str, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lam_bringup.cli", "launch", str(robot), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "ROS_DOMAIN_ID": domain},
    )


def until(process: subprocess.Popen[str], wanted: str) -> None:
    assert process.stdout is not None
    assert any(wanted in line for line in process.stdout), process.communicate()


def test_one_launch_a_domain(robot: Path) -> None:
    first = lam_launch(robot, "71")
    until(first, "started world")
    refused = lam_launch(robot, "71")
    _, err = refused.communicate(timeout=30)
    assert refused.returncode == 2 and err.count("\n") == 1
    assert f"ROS domain 71 is in use by 'greet.launch.xml' (pid {first.pid})" in err
    others = [lam_launch(robot, "72"), lam_launch(robot, "71", "--share-domain")]
    for process in others:
        until(process, "started world")
    for process in (first, *others):
        process.send_signal(signal.SIGINT)
    for process in (first, *others):
        out, _ = process.communicate(timeout=30)
        assert process.returncode == 130 and "stopped" in out
    again = lam_launch(robot, "71")
    until(again, "started world")
    again.send_signal(signal.SIGINT)
    assert again.wait(30) == 130


def test_a_shared_domain_keeps_exclusive_ones_out(tmp_path: Path) -> None:
    shared = [DomainLock("5", "a", True, tmp_path) for _ in range(2)]
    with pytest.raises(UserError, match="in use"):
        DomainLock("5", "b", False, tmp_path)
    for lock in shared:
        lock.release()
    DomainLock("5", "b", False, tmp_path).release()
