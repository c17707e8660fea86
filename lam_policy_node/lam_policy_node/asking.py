"""When the policy is asked: once every camera has something new, and not more often than wanted."""

from __future__ import annotations

from collections.abc import Collection


class Asking:
    """Counts what is new since the last question.

    A camera that lags is waited for until another has brought a second picture: cameras that expose
    together are seen together, and one that lost a picture holds nobody up. Without cameras every
    beat of the control grid is news.
    """

    def __init__(self, cameras: Collection[str], most_hz: float = 0.0) -> None:
        self._cameras = frozenset(cameras)
        self._period_ns = round(1e9 / most_hz) if most_hz else 0
        self._new: set[str] = set()
        self._waited_enough = False
        self._asked_ns: int | None = None

    def news(self, camera: str) -> None:
        """A picture came."""
        if camera in self._cameras:
            self._waited_enough |= camera in self._new
            self._new.add(camera)

    def wanted(self, now_ns: int, on_beat: bool) -> bool:
        """Whether to ask now."""
        if self._asked_ns is not None and 0 <= now_ns - self._asked_ns < self._period_ns:
            return False
        if not self._cameras:
            return on_beat
        return self._waited_enough or self._new == self._cameras

    def asked(self, now_ns: int) -> None:
        """A question went out."""
        self.forget()
        self._asked_ns = now_ns

    def forget(self) -> None:
        """Nothing that came so far is new."""
        self._new.clear()
        self._waited_enough = False
