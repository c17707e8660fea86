"""keyboard_node: a terminal's keys to motions of the end effector and a grip of the hand.

    keys ─▶ Keyboard ─▶ /teleop/ee_delta, /teleop/latent_action

The terminal is as it was before when the node ends, however it ends.
"""

from __future__ import annotations

import time
from typing import Any

import rcl_interfaces.msg
from rclpy.node import Node

from lam_models.construction import all_or_nothing
from lam_models.settings import declare
from lam_teleop.inputs_params import KeyboardSettings
from lam_teleop.keyboard import HELP_TEXT, Keyboard
from lam_teleop.person_node import Person
from lam_teleop.running_node import running
from lam_teleop.terminal import Closed, Terminal, opened

_CLEAR = "\r\x1b[K"


@all_or_nothing
class KeyboardNode(Node):
    """Translates between a terminal and a Keyboard, and keeps time."""

    def __init__(self, **options: Any) -> None:
        super().__init__("keyboard_node", **options)
        self.settings = declare(self, KeyboardSettings, rcl_interfaces.msg)
        self._keyboard = Keyboard(self.settings.feel())
        self.person = Person(self, self.settings)
        self._terminal: Terminal | None = None
        self._shown = ""
        self.done = False
        self.create_timer(1.0 / self.settings.rate_hz, self._on_timer)

    def attend(self, terminal: Terminal) -> None:
        """Begin to listen to a terminal."""
        self._terminal = terminal
        terminal.write(f"keys of {self.get_name()}:\n{HELP_TEXT}")

    def _on_timer(self) -> None:
        if self._terminal is None or self.done:
            return
        keyboard, now_ns = self._keyboard, time.monotonic_ns()
        try:
            keyboard.press(self._terminal.read(), now_ns)
        except Closed:
            self.get_logger().error("the terminal is closed")
            self.done = True
        if keyboard.quit or self.done:
            self.done = True
            return
        close_by, keyboard.grip_by = keyboard.grip_by, 0.0
        self.person.beat(keyboard.wish(now_ns), close_by)
        self._show(now_ns)

    def _show(self, now_ns: int) -> None:
        assert self._terminal is not None
        if self._keyboard.help:
            self._keyboard.help, self._shown = False, ""
            self._terminal.write(_CLEAR + HELP_TEXT)
        status = self._keyboard.status(now_ns, self.person.grip.value)
        if status != self._shown:
            self._shown = status
            self._terminal.write(_CLEAR + status)


def main() -> None:
    """Run until `q`, interrupted, or without a terminal."""
    with (
        running("keyboard_node", KeyboardNode) as (node, work),
        opened(node.settings.terminal) as terminal,
    ):
        try:
            node.attend(terminal)
            while work() and not node.done:
                pass
        finally:
            node.person.farewell()
            terminal.write("\n")
