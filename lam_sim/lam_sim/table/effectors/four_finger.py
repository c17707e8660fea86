"""A hand of 16 joints, every one driven: a thumb opposes three fingers.

Each finger spreads (abd) and bends thrice (mcp, pip, dip). In the precision posture the last
segments stay nearly parallel and the tips at one height, whatever the aperture.
"""

from __future__ import annotations

from typing import ClassVar

import mujoco
import numpy as np

from lam_sim.table.contact import FINGER, Contact
from lam_sim.table.effectors import Joints
from lam_sim.table.effectors.finger import Finger, Hinge, add_pad_site, add_segment, fold
from lam_sim.table.look import STANDARD_LOOK, Look

_RANGES_RAD = {"abd": (-0.4, 0.4), "mcp": (-0.9, 1.5), "pip": (0.0, 1.75), "dip": (-1.2, 1.4)}
_TIPS = ("thumb", "index", "middle", "ring")
_PALM_M = 0.075
_LENGTHS_M = np.array([0.046, 0.034, 0.026])
_REACH = 0.80  # of the first two segments' length, which leaves room to open and close
_LEAN_RAD = 0.12  # of the last segment, inward
_SPACING_M = 0.026
_CONVERGE_RAD = 0.12


class FourFinger:
    name: ClassVar[str] = "four_finger"
    human: ClassVar[bool] = True
    max_aperture_m = 0.09
    tip_reach_m = 0.011
    camera_m = (0.11, 0.0, 0.035)

    def __init__(self, look: Look = STANDARD_LOOK) -> None:
        self._look = look
        lengths = _LENGTHS_M * look.finger_length
        radius = 0.0095 * look.finger_radius
        aside = {"index": _SPACING_M, "middle": 0.0, "ring": -_SPACING_M, "thumb": 0.0}
        self._fingers = tuple(
            Finger(
                name,
                (x, -0.042 if name == "thumb" else 0.042, _PALM_M),
                tuple(lengths.tolist()),
                radius,
            )
            for name, x in aside.items()
        )
        self._along_m = _REACH * float(lengths[0] + lengths[1])
        self.grasp_point_m = _PALM_M + self._along_m + float(lengths[2]) * float(np.cos(_LEAN_RAD))
        names = [finger.name for finger in self._fingers]
        self.joint_names = tuple(f"{name}_{joint}" for name in names for joint in _RANGES_RAD)
        ranges = np.array(list(_RANGES_RAD.values()) * len(names))
        self.lower, self.upper = ranges[:, 0].copy(), ranges[:, 1].copy()
        self.open = self.grasp(self.max_aperture_m)
        self.closed = self.grasp(0.0)

    def grasp(self, aperture_m: float) -> Joints:
        aperture = float(np.clip(aperture_m, 0.0, self.max_aperture_m))
        return np.concatenate([self._pinch(finger, aperture) for finger in self._fingers])

    def _pinch(self, finger: Finger, aperture_m: float) -> Joints:
        first, second, last = finger.lengths_m
        inward = finger.inward_m(aperture_m) - last * np.sin(_LEAN_RAD)
        mcp, pip = fold((first, second), inward, self._along_m)
        # The outer fingers lean to the middle one, to meet on a small thing.
        abd = -_CONVERGE_RAD * np.sign(finger.root_m[0])
        return np.array([abd, mcp, pip, _LEAN_RAD - mcp - pip])

    def positions(self, joints: Joints) -> dict[str, float]:
        return dict(zip(self.joint_names, joints.tolist(), strict=True))

    def attach(self, spec: mujoco.MjSpec, flange: mujoco.MjsBody) -> None:
        look = self._look
        palm = flange.add_body(name="hand")
        thick = palm.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=(0.038 * look.palm, 0.048, _PALM_M / 2 - 0.005),
            pos=(0, 0, _PALM_M / 2 - 0.005),
            rgba=look.hand,
            mass=0.4,
        )
        Contact(FINGER, friction=0.5).put_on(thick)
        for finger in self._fingers:
            self._add_finger(spec, palm, finger)

    def _add_finger(self, spec: mujoco.MjSpec, palm: mujoco.MjsBody, finger: Finger) -> None:
        look, flex = self._look, finger.bends_about
        # A positive spread leans to +x for every finger.
        hinges = [
            Hinge(f"{finger.name}_{joint}", (0, 1, 0) if joint == "abd" else flex, limits)
            for joint, limits in _RANGES_RAD.items()
        ]
        body, start = palm, finger.root_m
        for index, length in enumerate(finger.lengths_m):
            body = body.add_body(name=f"{finger.name}_{index}", pos=start)
            for hinge in hinges[:2] if index == 0 else hinges[index + 1 : index + 2]:
                hinge.add_to(spec, body)
            tip = index == 2
            add_segment(body, length, finger.radius_m, look.tip if tip else look.hand, tip=tip)
            start = (0.0, 0.0, length)
        add_pad_site(body, _TIPS.index(finger.name), finger)
