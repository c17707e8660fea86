"""When the policy is asked: once every camera has something new, and not more often than wanted."""

from __future__ import annotations

from collections.abc import Collection


class Asking:
    """Counts what is new since the last question.

    A camera that lags is not waited for longer than to the next beat of the control grid. Without
    cameras every beat is news.
    """

    def __init__(self, cameras: Collection[str], most_hz: float = 0.0) -> None:
        self._cameras = frozenset(cameras)
        self._period_ns = round(1e9 / most_hz) if most_hz else 0
        self._new: set[str] = set()
        self._asked_ns: int | None = None

    def news(self, camera: str) -> None:
        """A picture came."""
        if camera in self._cameras:
            self._new.add(camera)

    def wanted(self, now_ns: int, on_beat: bool) -> bool:
        """Whether to ask now."""
        if self._asked_ns is not None and 0 <= now_ns - self._asked_ns < self._period_ns:
            return False
        if on_beat:
            return bool(self._new) or not self._cameras
        return bool(self._cameras) and self._new == self._cameras

    def asked(self, now_ns: int) -> None:
        """A question went out."""
        self._asked_ns = now_ns
        self._new.clear()
