"""Who may touch whom, as few pairs as will do: the arm's links touch nothing."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco


@dataclass(frozen=True)
class Layer:
    """A pair touches where the type bits of one meet the affinity bits of the other."""

    contype: int
    conaffinity: int


NOTHING = Layer(0, 0)
FIXED = Layer(0, 3)  # table, bowl, drawer: touched by objects and fingers, not by each other
OBJECT = Layer(1, 3)
FINGER = Layer(2, 0)  # touches scene and objects, never other fingers


@dataclass(frozen=True)
class Contact:
    """Friction (sliding) and layer of a geom; condim 4 adds the torsion that keeps grasps.

    rolling_m: rolling friction, without which a ball or a toppled can never comes to rest.
    """

    layer: Layer
    friction: float = 0.8
    rolling_m: float = 0.0

    def put_on(self, geom: mujoco.MjsGeom) -> None:
        geom.contype = self.layer.contype
        geom.conaffinity = self.layer.conaffinity
        geom.condim = 6 if self.rolling_m else 4
        geom.friction = (self.friction, 0.01, self.rolling_m)
