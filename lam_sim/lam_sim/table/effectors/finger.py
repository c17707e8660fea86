"""Fingers of capsules, hinge by hinge, and the plane geometry of a fingertip.

A finger grows along its palm's z and bends toward the palm's y = 0. Its root is at `root_m` in the
palm's frame; a finger with a positive y there bends toward -y, one with a negative y toward +y.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from jaxtyping import Float64

from lam_sim.table.contact import FINGER, Contact
from lam_sim.table.look import Rgba

_SEGMENT_KG = 0.02


@dataclass(frozen=True)
class Finger:
    """Sizes of one finger: root and segment lengths [m], the radius of all segments [m]."""

    name: str
    root_m: tuple[float, float, float]
    lengths_m: tuple[float, ...]
    radius_m: float

    @property
    def bends_about(self) -> tuple[float, float, float]:
        """Axis of its flexing joints."""
        return (1.0 if self.root_m[1] > 0 else -1.0, 0.0, 0.0)

    def inward_m(self, aperture_m: float) -> float:
        """How far the tip's middle is in from the root when its pad is `aperture_m` / 2 from the
        plane y = 0."""
        return abs(self.root_m[1]) - aperture_m / 2 - self.radius_m


@dataclass(frozen=True)
class Hinge:
    """One joint: range [rad], position servo stiffness [N m/rad] and strength [N m].

    stiffness: 0 for a joint that no actuator drives.
    """

    name: str
    axis: tuple[float, float, float]
    range_rad: tuple[float, float]
    stiffness: float = 5.0
    strength_nm: float = 1.2

    def add_to(self, spec: mujoco.MjSpec, body: mujoco.MjsBody) -> None:
        body.add_joint(
            name=self.name,
            axis=self.axis,
            range=self.range_rad,
            damping=0.02,
            armature=0.0015,
            frictionloss=0.005,
            solref_limit=(0.004, 1.0),
        )
        if self.stiffness == 0.0:
            return
        actuator = spec.add_actuator(
            name=self.name,
            target=self.name,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            ctrllimited=True,
            ctrlrange=self.range_rad,
            forcelimited=True,
            forcerange=(-self.strength_nm, self.strength_nm),
        )
        actuator.set_to_position(kp=self.stiffness, kv=0.04 * self.stiffness)


def add_segment(
    body: mujoco.MjsBody, length_m: float, radius_m: float, rgba: Rgba, *, tip: bool = False
) -> None:
    """A capsule from the body's origin along z; a tip grips better than the rest."""
    geom = body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=(0, 0, 0, 0, 0, length_m),
        size=(radius_m, 0, 0),
        rgba=rgba,
        mass=_SEGMENT_KG,
    )
    Contact(FINGER, friction=1.5 if tip else 0.8).put_on(geom)


def add_pad_site(body: mujoco.MjsBody, index: int, finger: Finger) -> None:
    """Site `tip_<index>` on the inner side of the last segment's end."""
    inward = -np.sign(finger.root_m[1]) * finger.radius_m
    body.add_site(name=f"tip_{index}", pos=(0, inward, finger.lengths_m[-1]))


def fold(
    lengths_m: tuple[float, float], inward_m: float, along_m: float
) -> Float64[np.ndarray, "2"]:
    """Flexion [rad] of the two hinges that bring the end of two segments there, bulging outward.

    Out of reach, the nearest: straight or fully folded.
    """
    first, second = lengths_m
    squared = inward_m**2 + along_m**2
    cosine = (squared - first**2 - second**2) / (2 * first * second)
    bend = np.arccos(np.clip(cosine, -1.0, 1.0))
    lean = np.arctan2(inward_m, along_m)
    return np.array([lean - np.arctan2(second * np.sin(bend), first + second * np.cos(bend)), bend])
