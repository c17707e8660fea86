"""keyboard_node in a pseudo-terminal, with real DDS: keys in, commands out."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from teleop_bench import DOMAIN, PATIENCE_S, Bench, bench, still

from lam_msgs.msg import EndEffectorDelta, LatentAction
from lam_teleop.arbiter_node import ArbiterNode
from lam_teleop.command_messages import motion_of

CODE = "from lam_teleop.keyboard_node import main; main()"


class Console:
    """A terminal with keyboard_node in it, and what the node says."""

    def __init__(self, b: Bench, log: Path) -> None:
        self.bench = b
        self._ours, self.theirs = pty.openpty()
        self.before = termios.tcgetattr(self.theirs)
        self.shown = b""
        # A terminal that nobody reads from stops its programs once it is full.
        threading.Thread(target=self._read, daemon=True).start()
        self.log = log
        with log.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", CODE, "--ros-args", "-p", "nudge_s:=0.3"],
                env={**os.environ, "ROS_DOMAIN_ID": str(DOMAIN)},
                stdin=self.theirs,
                stdout=out,
                stderr=out,
            )
        self.arm = b.listen(EndEffectorDelta, "/ee_delta")
        self.latents = b.listen(LatentAction, "/latent_action")
        b.until(lambda: b"quit" in self.shown)
        b.until(lambda: b.client.count_subscribers("/teleop/ee_delta"))

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while text := os.read(self._ours, 1024):
                self.shown += text

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._ours, text.encode())

    def hold(self, key: str) -> None:
        """One of the presses of a key that is held, at the pace of a terminal."""
        self.type(key)
        self.bench.spin(0.03)

    def restored(self) -> bool:
        """Whether the terminal is as it was before the node."""
        return termios.tcgetattr(self.theirs) == self.before

    def close(self) -> None:
        """End what is left."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.theirs)
        os.close(self._ours)


@pytest.fixture
def console(tmp_path) -> Iterator[Console]:
    """A keyboard before an arbiter; a busy machine may keep it from repeating in time."""
    with bench(ArbiterNode, silence_s=1.0, hold_off_s=1.5) as b:
        made = Console(b, tmp_path / "log")
        try:
            yield made
        finally:
            made.close()


def test_a_key_moves_the_arm_and_letting_go_stops_it(console):
    b = console.bench
    assert not console.restored()
    b.until(lambda: len(console.arm) >= 5, lambda: console.hold("w"))
    moved = [motion_of(m) for m in console.arm if not still(m)]
    assert all(motion[0] > 0.0 and not motion[1:].any() for motion in moved)
    assert {m.source for m in console.arm} == {EndEffectorDelta.SOURCE_TELEOP}
    b.until(lambda: still(console.arm[-1]))
    b.quiet(console.arm)
    assert not console.latents


def test_keys_close_the_hand_and_say_so(console):
    b = console.bench
    b.until(lambda: console.latents, lambda: console.hold("c"))
    b.until(lambda: b"% closed" in console.shown)
    assert all(map(still, console.arm))


def test_space_holds_still_and_help_is_shown_again(console):
    b = console.bench
    console.type(" h")
    b.until(lambda: len(console.arm) >= 20)
    assert all(map(still, console.arm))
    b.until(lambda: console.shown.count(b"q  quit") >= 2)


@pytest.mark.parametrize("way", ["q", signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_a_zero_and_the_terminal_as_it_was(console, way):
    b = console.bench
    b.until(lambda: console.arm and not still(console.arm[-1]), lambda: console.hold("w"))
    if way == "q":
        console.type("wq")
    else:
        console.type("w")
        console.process.send_signal(way)
    end_s = time.monotonic() + PATIENCE_S
    while console.process.poll() is None and time.monotonic() < end_s:
        b.spin(0.02)
    assert console.process.returncode == 0, console.log.read_text()
    assert console.restored()
    b.until(lambda: still(console.arm[-1]))


def test_without_a_terminal_it_is_one_sentence():
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, "ROS_DOMAIN_ID": str(DOMAIN)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("keyboard_node: no terminal to read keys from")
