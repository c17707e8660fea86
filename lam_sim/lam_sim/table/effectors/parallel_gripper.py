"""A parallel-jaw gripper: two coupled slides, one actuated width."""

from __future__ import annotations

from typing import ClassVar

import mujoco
import numpy as np

from lam_sim.table.contact import FINGER, Contact
from lam_sim.table.effectors import Joints
from lam_sim.table.look import STANDARD_LOOK, Look

_TRAVEL_M = 0.04
_FORCE_N = 40.0


class ParallelGripper:
    name: ClassVar[str] = "parallel_gripper"
    human: ClassVar[bool] = False
    joint_names = ("gripper_width",)
    max_aperture_m = 2 * _TRAVEL_M
    tip_reach_m = 0.01
    camera_m = (0.095, 0.0, 0.055)

    def __init__(self, look: Look = STANDARD_LOOK) -> None:
        self._look = look
        self._finger_m = 0.05 * look.finger_length
        self.lower = np.array([0.0])
        self.upper = np.array([self.max_aperture_m])
        self.open = self.upper.copy()
        self.closed = self.lower.copy()
        self.grasp_point_m = 0.068 + self._finger_m - self.tip_reach_m

    def grasp(self, aperture_m: float) -> Joints:
        return np.clip([aperture_m], self.lower, self.upper)

    def positions(self, joints: Joints) -> dict[str, float]:
        return {"left_slide": float(joints[0]) / 2, "right_slide": float(joints[0]) / 2}

    def attach(self, spec: mujoco.MjSpec, flange: mujoco.MjsBody) -> None:
        look = self._look
        palm = flange.add_body(name="hand")
        wide = 0.1 * look.palm
        _box(palm, (0.022, wide, 0.028), (0, 0, 0.034), look.hand, mass=0.5)
        for side, sign in (("left", 1.0), ("right", -1.0)):
            finger = palm.add_body(name=f"{side}_finger", pos=(0, 0, 0.062))
            finger.add_joint(
                name=f"{side}_slide",
                type=mujoco.mjtJoint.mjJNT_SLIDE,
                axis=(0, sign, 0),
                range=(0.0, _TRAVEL_M),
                damping=20.0,
                armature=0.1,
                solref_limit=(0.004, 1.0),
            )
            thick, long = 0.006 * look.finger_radius, self._finger_m / 2
            root = (0.009, thick * 1.6, long * 0.55)
            _box(finger, root, (0, sign * thick * 1.6, root[2]), look.hand, mass=0.03)
            pad = finger.add_geom(
                name=f"{side}_pad",
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=(0.01, thick, long * 0.6),
                pos=(0, sign * thick, 0.006 + long * 1.4),
                rgba=look.tip,
                mass=0.03,
            )
            Contact(FINGER, friction=1.5).put_on(pad)
            finger.add_site(name=f"tip_{0 if sign > 0 else 1}", pos=(0, 0, 0.006 + long * 1.6))
        _couple(spec)


def _box(body, half_size, position, rgba, mass) -> None:
    geom = body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, size=half_size, pos=position, rgba=rgba, mass=mass
    )
    Contact(FINGER, friction=0.5).put_on(geom)


def _couple(spec: mujoco.MjSpec) -> None:
    """Both fingers mirror each other; the actuator drives their sum, the width."""
    equality = spec.add_equality(
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1="left_slide",
        name2="right_slide",
        solref=(0.005, 1.0),
    )
    equality.data[:2] = (0.0, 1.0)
    tendon = spec.add_tendon(name="gripper_width")
    tendon.wrap_joint("left_slide", 1.0)
    tendon.wrap_joint("right_slide", 1.0)
    actuator = spec.add_actuator(
        name="gripper_width",
        target="gripper_width",
        trntype=mujoco.mjtTrn.mjTRN_TENDON,
        ctrllimited=True,
        ctrlrange=(0.0, 2 * _TRAVEL_M),
        forcelimited=True,
        forcerange=(-_FORCE_N, _FORCE_N),
    )
    actuator.set_to_position(kp=2000.0, kv=20.0)
