"""When cameras expose and what becomes of the picture. No ROS: outlets are given.

Pictures are drawn, encoded and sent only where somebody listens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import UInt8

from lam_sim.pacing import DelayLine, Stream

Pixels = UInt8[np.ndarray, "height width 3"]


class Drawn(Protocol):
    """The part of a world that is used."""

    def render(self, camera: str, height: int, width: int) -> Pixels: ...


class Publisher(Protocol):
    """The part of a ROS publisher that is used."""

    def publish(self, msg: Any) -> None: ...

    def get_subscription_count(self) -> int: ...


@dataclass(frozen=True)
class Outlet:
    """A topic and the form its pictures take, from pixels and exposure time [ns]."""

    publisher: Publisher
    encode: Callable[[Pixels, int], Any]


class Cameras:
    """All cameras expose on the same ticks, `rate_hz`; pictures leave `latency_ns` later."""

    def __init__(
        self,
        outlets: Mapping[str, Sequence[Outlet]],
        size: tuple[int, int],
        rate_hz: float,
        latency_ns: int,
    ) -> None:
        self._outlets = outlets
        self._height, self._width = size
        self._exposures = Stream(rate_hz)
        self._waiting: DelayLine[tuple[Publisher, Any]] = DelayLine(latency_ns)

    def warm_up(self, world: Drawn) -> None:
        """Make the drawing context now: that takes long, and later it would stall the arm."""
        if any(self._outlets.values()):
            world.render(next(iter(self._outlets)), self._height, self._width)

    def tick(self, world: Drawn, sim_ns: int, stamp_ns: int) -> None:
        """Expose where that is due, and send what has waited long enough."""
        if self._exposures.due(sim_ns):
            for camera, outlets in self._outlets.items():
                self._expose(world, camera, outlets, sim_ns, stamp_ns)
        for publisher, message in self._waiting.ready(sim_ns):
            publisher.publish(message)

    def _expose(
        self, world: Drawn, camera: str, outlets: Sequence[Outlet], sim_ns: int, stamp_ns: int
    ) -> None:
        wanted = [outlet for outlet in outlets if outlet.publisher.get_subscription_count()]
        if not wanted:
            return
        pixels = world.render(camera, self._height, self._width)
        for outlet in wanted:
            self._waiting.put((outlet.publisher, outlet.encode(pixels, stamp_ns)), sim_ns)

    def forget(self) -> None:
        """Drop the pictures of an episode that is over."""
        self._waiting.clear()
