"""A human-like hand: five fingers, eleven joints, six motors.

Every finger bends with one motor, its middle joint (pip, at the thumb ip) following the first (mcp)
by a rigid coupling; the thumb has a second motor that swings it across the palm (rot). The coupling
is chosen so that the fingertip moves straight across while a finger pinches.
"""

from __future__ import annotations

from typing import ClassVar

import mujoco
import numpy as np
from jaxtyping import Float64

from lam_sim.table.contact import FINGER, Contact
from lam_sim.table.effectors import Joints
from lam_sim.table.effectors.finger import Finger, Hinge, add_pad_site, add_segment
from lam_sim.table.look import STANDARD_LOOK, Look

_PALM_M = 0.08
_THUMB_LOW_M = 0.02
# Bend of the middle joint: offset [rad] and ratio to the first joint's.
_COUPLING = (0.95, 0.45)
# The last segment is bent back against the middle one, as in a human pinch [rad].
_TIP_BEND_RAD = -0.3
_MCP_RAD = (-0.85, 1.4)
_ROT_RAD = (-0.3, 1.2)
_LOOSE_M = 0.015  # ring and little finger stay this much wider

# Finger: root x, y and z [m], factor on the segment lengths
_LAYOUT = {
    "index": (0.011, 0.036, _PALM_M, 1.0),
    "middle": (-0.011, 0.036, _PALM_M, 1.0),
    "ring": (-0.033, 0.036, _PALM_M - 0.003, 0.96),
    "little": (-0.054, 0.036, _PALM_M - 0.008, 0.82),
    "thumb": (0.0, -0.036, _PALM_M, 1.0),
}
_LENGTHS_M = np.array([0.045, 0.03, 0.022])


class FiveFinger:
    name: ClassVar[str] = "five_finger"
    human: ClassVar[bool] = True
    max_aperture_m = 0.085
    tip_reach_m = 0.013
    camera_m = (0.11, 0.0, 0.035)

    def __init__(self, look: Look = STANDARD_LOOK) -> None:
        self._look = look
        radius = 0.0085 * look.finger_radius
        self._fingers = tuple(
            Finger(
                name,
                (x, y, z),
                tuple((_LENGTHS_M * size * look.finger_length).tolist()),
                radius * (1.12 if name == "thumb" else 1.0),
            )
            for name, (x, y, z, size) in _LAYOUT.items()
        )
        self.joint_names = (*(f"{finger.name}_mcp" for finger in self._fingers), "thumb_rot")
        self.lower = np.array([_MCP_RAD[0]] * 5 + [_ROT_RAD[0]])
        self.upper = np.array([_MCP_RAD[1]] * 5 + [_ROT_RAD[1]])
        self.open = self.grasp(self.max_aperture_m)
        self.closed = self.grasp(0.0)
        index = self._fingers[0]
        midway = tip_path(index.lengths_m, np.array(self.grasp(0.04)[:1]))[0, 1]
        self.grasp_point_m = _PALM_M + float(midway)

    def grasp(self, aperture_m: float) -> Joints:
        aperture = float(np.clip(aperture_m, 0.0, self.max_aperture_m))
        bends = [self._bend(finger, aperture) for finger in self._fingers]
        return np.array([*bends, 0.0])

    def _bend(self, finger: Finger, aperture_m: float) -> float:
        loose = _LOOSE_M if finger.name in ("ring", "little") else 0.0
        mcp = np.linspace(_MCP_RAD[0], 0.6, 60)
        inward = tip_path(finger.lengths_m, mcp)[:, 0]
        return float(np.interp(finger.inward_m(aperture_m + loose), inward, mcp))

    def positions(self, joints: Joints) -> dict[str, float]:
        out = dict(zip(self.joint_names, joints.tolist(), strict=True))
        offset, ratio = _COUPLING
        for finger in self._fingers:
            out[f"{finger.name}_pip"] = offset + ratio * out[f"{finger.name}_mcp"]
        return out

    def attach(self, spec: mujoco.MjSpec, flange: mujoco.MjsBody) -> None:
        palm = flange.add_body(name="hand")
        self._add_palm(palm)
        for index, finger in enumerate(self._fingers):
            tip_index = 0 if finger.name == "thumb" else index + 1
            self._add_finger(spec, palm, finger, tip_index)

    def _add_palm(self, palm: mujoco.MjsBody) -> None:
        look = self._look
        size = (0.041 * look.palm, 0.015, 0.036)
        parts = (
            (size, (-0.021, 0.034, _PALM_M - 0.038)),
            ((0.028, 0.032, 0.014), (-0.006, 0.008, 0.014)),
        )
        for half_size, position in parts:
            geom = palm.add_geom(
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=half_size,
                pos=position,
                rgba=look.hand,
                mass=0.2,
            )
            Contact(FINGER, friction=0.5).put_on(geom)
        palm.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=(0, -0.004, 0.02, 0, -0.034, _PALM_M),
            size=(0.013, 0, 0),
            rgba=look.hand,
            mass=0.05,
            contype=0,
            conaffinity=0,
        )

    def _add_finger(
        self, spec: mujoco.MjSpec, palm: mujoco.MjsBody, finger: Finger, tip_index: int
    ) -> None:
        look, name, flex = self._look, finger.name, finger.bends_about
        first, second, last = finger.lengths_m
        body = palm.add_body(name=f"{name}_proximal", pos=finger.root_m)
        if name == "thumb":
            # It swings about the palm's y axis, out to +x.
            Hinge("thumb_rot", (0, 1, 0), _ROT_RAD).add_to(spec, body)
        Hinge(f"{name}_mcp", flex, _MCP_RAD, stiffness=6.0).add_to(spec, body)
        add_segment(body, first, finger.radius_m, look.hand)
        body = body.add_body(name=f"{name}_middle", pos=(0, 0, first))
        Hinge(f"{name}_pip", flex, (-0.2, 2.0), stiffness=0.0).add_to(spec, body)
        add_segment(body, second, finger.radius_m, look.hand)
        half = _TIP_BEND_RAD / 2
        body = body.add_body(
            name=f"{name}_distal",
            pos=(0, 0, second),
            quat=(np.cos(half), flex[0] * np.sin(half), 0, 0),
        )
        add_segment(body, last, finger.radius_m, look.tip, tip=True)
        add_pad_site(body, tip_index, finger)
        equality = spec.add_equality(
            type=mujoco.mjtEq.mjEQ_JOINT,
            objtype=mujoco.mjtObj.mjOBJ_JOINT,
            name1=f"{name}_pip",
            name2=f"{name}_mcp",
            solref=(0.005, 1.0),
        )
        equality.data[:2] = _COUPLING


def tip_path(
    lengths_m: tuple[float, ...], mcp_rad: Float64[np.ndarray, " n"]
) -> Float64[np.ndarray, "n 2"]:
    """Where the tip is, inward and along [m] from the root, when the first joint bends so."""
    offset, ratio = _COUPLING
    middle = mcp_rad + offset + ratio * mcp_rad
    angle = np.column_stack([mcp_rad, middle, middle + _TIP_BEND_RAD])
    return np.stack([np.sin(angle) @ lengths_m, np.cos(angle) @ lengths_m], axis=1)
