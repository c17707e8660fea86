"""How a node's process ends: SIGINT and SIGTERM ask, the node stops between two of its actions.

rclpy's own handler invalidates the context from another thread, in the middle of a publish; then a
clean exit is a matter of luck. Use with `rclpy.init(signal_handler_options=NO)`.
"""

from __future__ import annotations

import signal
from types import FrameType


class StopRequest:
    """Becomes true at the first SIGINT or SIGTERM."""

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked = True

    def __bool__(self) -> bool:
        return self._asked
