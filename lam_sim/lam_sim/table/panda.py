"""The Franka Panda's kinematics, drawn with capsules.

Link transforms are the published modified Denavit-Hartenberg parameters, limits the datasheet's.
The base frame base_link is the world frame; no link touches anything.
"""

from __future__ import annotations

import mujoco
import numpy as np

from lam_sim.table.look import Look

JOINT_NAMES = tuple(f"panda_joint{i}" for i in range(1, 8))
LOWER_RAD = np.array([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973])
UPPER_RAD = np.array([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973])
MAX_SPEED_RAD_S = np.array([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61])
READY_RAD = np.array([0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4])

# Damping over stiffness of the position servos: the time by which they would trail a ramp.
SERVO_LAG_S = 0.1
_STIFFNESS = (4500.0, 4500.0, 3500.0, 3500.0, 2000.0, 2000.0, 2000.0)
# The datasheet's 12 N m at the wrist would let the swinging hand pull it past its limits: the real
# arm's controller also limits acceleration, which here strength makes up for.
_TORQUE_NM = (87.0, 87.0, 87.0, 87.0, 40.0, 40.0, 40.0)
_STOP_RAD = 0.02  # the soft stops begin this far inside the limits, and so keep them
_FLANGE_M = 0.107
_HALF = np.pi / 2

# a [m], d [m], alpha [rad] from the link before; mass [kg]
_LINKS = (
    (0.0, 0.333, 0.0, 3.0),
    (0.0, 0.0, -_HALF, 3.0),
    (0.0, 0.316, _HALF, 2.5),
    (0.0825, 0.0, _HALF, 2.5),
    (-0.0825, 0.384, -_HALF, 2.5),
    (0.0, 0.0, _HALF, 1.5),
    (0.088, 0.0, _HALF, 0.7),
)
# Capsules a link: radius [m], from [m], to [m], and which of the look's colours.
_SHAPES = (
    ((0.065, (0, 0, -0.19), (0, 0, -0.02), "arm"), (0.068, (0, -0.05, 0), (0, 0.05, 0), "joint")),
    ((0.062, (0, 0, 0.0), (0, -0.19, 0), "arm"),),
    ((0.058, (0, 0, -0.11), (0.05, 0, -0.02), "arm"),),
    ((0.06, (0, 0, -0.045), (0, 0, 0.045), "joint"), (0.055, (0, 0, 0), (-0.0825, 0.1, 0), "arm")),
    (
        (0.052, (0, 0, -0.26), (0, 0.05, -0.12), "forearm"),
        (0.048, (0, 0.06, -0.12), (0, 0.01, 0), "forearm"),
    ),
    ((0.05, (0, 0, -0.035), (0, 0, 0.035), "joint"), (0.045, (0, 0, 0), (0.088, 0, 0), "forearm")),
    ((0.039, (0, 0, 0.0), (0, 0, 0.075), "forearm"),),
)


def add_arm(spec: mujoco.MjSpec, look: Look | None = None) -> mujoco.MjsBody:
    """Add the arm at the world's origin and return its flange (z out, turned as Franka's hand is).

    Without a look the arm has no geoms and no actuators: kinematics alone.
    """
    body = spec.worldbody.add_body(name="panda_link0")
    if look is not None:
        _capsule(body, (0.075, (-0.05, 0, 0.05), (0.0, 0, 0.08), "joint"), look)
    for index, (a, d, alpha, mass) in enumerate(_LINKS):
        body = body.add_body(
            name=f"panda_link{index + 1}",
            pos=(a, -np.sin(alpha) * d, np.cos(alpha) * d),
            quat=(np.cos(alpha / 2), np.sin(alpha / 2), 0, 0),
            gravcomp=1.0,
            mass=mass,
            inertia=(0.01 * mass, 0.01 * mass, 0.01 * mass),
            explicitinertial=True,
        )
        body.add_joint(
            name=JOINT_NAMES[index],
            axis=(0, 0, 1),
            range=(LOWER_RAD[index] + _STOP_RAD, UPPER_RAD[index] - _STOP_RAD),
            armature=0.1,
            solref_limit=(0.004, 1.0),
        )
        if look is not None:
            for shape in _SHAPES[index]:
                _capsule(body, shape, look)
            _add_servo(spec, index)
    quarter = -np.pi / 8  # half of the -45 degrees by which Franka's hand sits on the flange
    return body.add_body(
        name="flange", pos=(0, 0, _FLANGE_M), quat=(np.cos(quarter), 0, 0, np.sin(quarter))
    )


def _capsule(body: mujoco.MjsBody, shape: tuple, look: Look) -> None:
    radius, start, end, part = shape
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=(*start, *end),
        size=(radius * look.arm_radius, 0, 0),
        rgba=getattr(look, part),
        contype=0,
        conaffinity=0,
        mass=0.0,
    )


def _add_servo(spec: mujoco.MjSpec, index: int) -> None:
    actuator = spec.add_actuator(
        name=JOINT_NAMES[index],
        target=JOINT_NAMES[index],
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        ctrllimited=True,
        ctrlrange=(LOWER_RAD[index], UPPER_RAD[index]),
        forcelimited=True,
        forcerange=(-_TORQUE_NM[index], _TORQUE_NM[index]),
    )
    stiffness = _STIFFNESS[index]
    actuator.set_to_position(kp=stiffness, kv=SERVO_LAG_S * stiffness)
