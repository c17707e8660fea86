"""Where a hand holds things: the frame that a policy steers, whatever hand is bolted on.

One latent closes every hand, but not in one place. Where the thumb and the fingers of a hand meet
is some centimetres from where a gripper's do, and the line between them is turned. A policy that
learnt with one hand serves another where it is told the pose of that frame in place of the end
effector's, and where what it asks of that frame is carried over to the end effector.

The frame lies in the plane across the approach: how far a hand reaches down is known to whoever
set the robot's floor. A space of hands keeps it for each of them (`measure_all`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from lam_models import geometry
from lam_models.geometry import Delta, Pose
from lam_models.hands.kinematics import Kinematics, open_kinematics, palm_pose, rotation_from_rpy
from lam_models.hands.space import Coder, HandSpace, Modality
from lam_models.hands.spec import HandSpec

# Of a gripper that holds something, as a share of its width when open.
_WIDTHS = np.linspace(0.25, 0.75, 9)
# Fingers that meet the thumb, of those that a hand has.
_OPPOSED = ("index", "middle")


def grasp_pose(modality: Modality) -> Pose | None:
    """T_ee_grasp of a hand; None where the two frames are one."""
    x, y, yaw = modality.grasp
    if x == y == yaw == 0.0:
        return None
    return geometry.pose(rotation_from_rpy((0.0, 0.0, yaw)), np.array([x, y, 0.0]))


def grasp_delta(delta_ee: Delta, T_base_ee: Pose, T_ee_grasp: Pose) -> Delta:
    """What the grasp does when the end effector makes a delta; both in base axes."""
    return geometry.delta_elsewhere(delta_ee, T_base_ee[:3, :3] @ T_ee_grasp[:3, 3])


def ee_delta(delta_grasp: Delta, T_base_ee: Pose, T_ee_grasp: Pose) -> Delta:
    """What the end effector has to do for the grasp to make a delta; both in base axes."""
    return geometry.delta_elsewhere(delta_grasp, -T_base_ee[:3, :3] @ T_ee_grasp[:3, 3])


def rows_of_grasp(
    ee: Float[np.ndarray, "rows 6"], deltas: Float[np.ndarray, "rows 6"], T_ee_grasp: Pose
) -> tuple[Float[np.ndarray, "rows 6"], Float[np.ndarray, "rows 6"]]:
    """Recorded poses (m, rotation vector) and deltas of the end effector as those of the grasp."""
    poses, out = np.empty(ee.shape), np.empty(deltas.shape)
    for row, (at, delta) in enumerate(zip(ee.astype(float), deltas.astype(float), strict=True)):
        T_base_ee = geometry.pose(geometry.so3_exp(at[3:]), at[:3])
        T_base_grasp = T_base_ee @ T_ee_grasp
        poses[row] = [*T_base_grasp[:3, 3], *geometry.so3_log(T_base_grasp[:3, :3])]
        out[row] = grasp_delta(delta, T_base_ee, T_ee_grasp)
    return poses, out


def measure_all(space: HandSpace, hands: Iterable[HandSpec]) -> HandSpace:
    """The space, with the grasps of these hands, of those whose files say their end effector."""
    grippers = [c for c in space.coders.values() if len(c.modality.entries) == 1]
    coders = dict(space.coders)
    for spec in hands:
        if spec.end_effector is not None and grippers:
            coder = space.coder_for(spec)
            grasp = measure(open_kinematics(spec), coder, grippers[0])
            coders[spec.hand] = replace(coder, modality=replace(coder.modality, grasp=grasp))
    return replace(space, coders=coders)


def measure(kinematics: Kinematics, coder: Coder, gripper: Coder) -> tuple[float, float, float]:
    """Where latents of a gripper close the hand, as Modality keeps it.

    The turn is less than a quarter, for a gripper may be turned by half.
    """
    spec = kinematics.spec
    assert spec.end_effector is not None
    widths = _WIDTHS[:, None] * gripper.modality.upper[0]
    tips = kinematics.tips(coder.decode(gripper.encode(widths)))
    at_m, rpy_rad = spec.end_effector.at_m, spec.end_effector.rpy_rad
    T_link_ee = geometry.pose(rotation_from_rpy(rpy_rad), np.array(at_m))
    T_ee_palm = geometry.inverse(T_link_ee) @ palm_pose(spec)
    across = (tips @ T_ee_palm[:3, :3].T + T_ee_palm[:3, 3])[..., :2]
    opposed = [spec.tips.index(finger) for finger in spec.tips if finger in _OPPOSED]
    thumb, fingers = across[:, spec.tips.index("thumb")], across[:, opposed].mean(axis=1)
    x, y = (fingers - thumb).mean(axis=0)
    middle = 0.5 * (thumb + fingers).mean(axis=0)
    # A gripper's fingers close along y.
    yaw = np.arctan(-x / y) if y else 0.5 * np.pi
    return round(float(middle[0]), 4), round(float(middle[1]), 4), round(float(yaw), 4)
