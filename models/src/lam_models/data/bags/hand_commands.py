"""Commands to a hand, in the driver's own message type, as positions [rad or m] of its joints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lam_models.command import UserError
from lam_models.data.bags.recording import Raw
from lam_models.sense.observing import joints_of, time_ns


@dataclass(frozen=True)
class Channel:
    """One number that a driver takes: gain * (position of `joint`) + offset."""

    name: str
    joint: str
    gain: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class HandCommands:
    """How a hand's commands are read. Without channels they name joints and are in SI units.

    joints: of the hand in its own order, () for the order of its commands.
    """

    joints: tuple[str, ...] = ()
    channels: tuple[Channel, ...] = ()

    def target(self, raw: Raw) -> tuple[int, dict[str, float]]:
        """Stamp [ns, 0 for none] and positions by joint; empty where the message has none."""
        message = raw.message
        stamp_ns = time_ns(message.header.stamp) if hasattr(message, "header") else 0
        named = self._named(message, raw.topic)
        if not all(map(np.isfinite, named.values())):
            return stamp_ns, {}
        if not self.channels:
            return stamp_ns, named
        return stamp_ns, {
            one.joint: (named[one.name] - one.offset) / one.gain
            for one in self.channels
            if one.name in named
        }

    def _named(self, message: Any, topic: str) -> dict[str, float]:
        """The driver's numbers by the driver's names."""
        if hasattr(message, "joint_names"):  # JointTrajectory: where it is to end.
            if not message.points:
                return {}
            return dict(zip(message.joint_names, message.points[-1].positions, strict=False))
        if hasattr(message, "position"):
            return joints_of(message)
        if not self.channels:
            raise UserError(f"{topic} names no joints: say with --hand which hand it commands")
        return dict(zip((one.name for one in self.channels), message.data, strict=False))
