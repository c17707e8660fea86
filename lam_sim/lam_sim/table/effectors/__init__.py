"""End effectors by name. To add one: a file beside this one, and a line in `EFFECTORS`."""

from __future__ import annotations

from typing import ClassVar, Protocol

import mujoco
import numpy as np
from jaxtyping import Float64

from lam_sim.interface import find
from lam_sim.table.look import Look

Joints = Float64[np.ndarray, " joints"]

EFFECTORS = {
    "parallel_gripper": "lam_sim.table.effectors.parallel_gripper:ParallelGripper",
    "four_finger": "lam_sim.table.effectors.four_finger:FourFinger",
    "five_finger": "lam_sim.table.effectors.five_finger:FiveFinger",
}


class Grasper(Protocol):
    """What an expert knows of the hand that it closes.

    max_aperture_m: the widest opening that `grasp` makes.
    tip_reach_m: how far the fingertips reach beyond ee_link, along z.
    """

    max_aperture_m: float
    tip_reach_m: float

    def grasp(self, aperture_m: float) -> Joints:
        """The precision posture whose tips are `aperture_m` apart (clipped to what is possible).

        A posture a centimetre or two narrower than an object squeezes it.
        """
        ...


class EndEffector(Grasper, Protocol):
    """What is bolted to the flange.

    The end-effector frame ee_link is the grasp point: z points out of the palm, the fingers close
    along y, x completes the frame. Joint vectors (rad or m) are in the order of `joint_names`.

    joint_names: the actuated joints; each is the name of one MuJoCo actuator as well.
    open, closed: the widest posture, and the posture that squeezes whatever is between the tips.
    grasp_point_m: distance along z from the flange to ee_link.
    camera_m: where the wrist camera sits in the flange's frame; it looks at ee_link.
    human: whether it can pass for a human hand when the embodiment is varied.
    """

    name: ClassVar[str]
    human: ClassVar[bool]
    joint_names: tuple[str, ...]
    lower: Joints
    upper: Joints
    open: Joints
    closed: Joints
    grasp_point_m: float
    camera_m: tuple[float, float, float]

    def __init__(self, look: Look = ...) -> None: ...

    def positions(self, joints: Joints) -> dict[str, float]:
        """Position of every MuJoCo joint, coupled ones included, in a posture."""
        ...

    def attach(self, spec: mujoco.MjSpec, flange: mujoco.MjsBody) -> None:
        """Add bodies, joints and actuators below the flange, and two or more sites `tip_<i>` on
        the finger pads, `tip_0` opposing the others."""
        ...


def find_effector(name: str) -> type[EndEffector]:
    """The end effector's class; UserError if there is none of that name."""
    return find("end effector", name, EFFECTORS)
