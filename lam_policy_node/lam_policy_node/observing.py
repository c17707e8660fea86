"""What a policy needs of the streams, and what it sees of them, as its spec says.

Of a policy's state vectors "ee" is made of the pose of the end effector, or of where its hand holds
things (lam_models.hands.grasp): position m, rotation vector rad. Every other one is made of the
joints its spec names. How values are made of messages and pictures of values is
lam_models.sense.observing, which the converter of recorded bags uses, too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64, UInt8

from lam_models.checkpoint import CameraSpec, Spec
from lam_models.geometry import Pose
from lam_models.sense import observing
from lam_models.sense.align import Sample, StreamRule
from lam_models.sense.observing import COMPRESSED, JOINTS, POSE, Ages, Picture
from lam_models.types import Frame, Observation

__all__ = ["COMPRESSED", "JOINTS", "POSE", "Ages", "Picture"]

State = dict[str, Float64[np.ndarray, " size"]]


def rules(spec: Spec, ages: Ages, needs_pose: bool = False) -> dict[str, StreamRule]:
    """The streams that a policy needs. needs_pose: somebody else needs the pose, too."""
    out = {camera.name: StreamRule(ages.camera_s) for camera in spec.cameras}
    if needs_pose or "ee" in spec.state:
        out[POSE] = StreamRule(ages.pose_s)
    if set(spec.state) - {"ee"}:
        out[JOINTS] = StreamRule(ages.joints_s)
    return out


def state_of(spec: Spec, samples: Mapping[str, Sample], T_ee_grasp: Pose | None = None) -> State:
    """The state vectors. UserError for a joint that the robot does not report."""
    return {
        vector: observing.ee_vector(_steered(samples[POSE].value, T_ee_grasp))
        if vector == "ee"
        else observing.joint_vector(samples[JOINTS].value, names)
        for vector, names in spec.state.items()
    }


def _steered(T_base_ee: Pose, T_ee_grasp: Pose | None) -> Pose:
    return T_base_ee if T_ee_grasp is None else T_base_ee @ T_ee_grasp


def pixels_of(picture: Picture, camera: CameraSpec) -> UInt8[np.ndarray, "height width 3"]:
    """The picture as the policy wants it: RGB, of the camera's size, memory of its own."""
    return observing.pixels_of(picture, camera.height, camera.width, camera.fit)


def shrunk(picture: Picture, camera: CameraSpec) -> Picture:
    """The picture no larger than the policy wants it, where that takes little time."""
    return observing.shrunk(picture, camera.height, camera.width, camera.fit)


def observe(
    spec: Spec,
    pictures: Mapping[str, tuple[int, Picture]],
    state: State,
    stamp_ns: int,
    instruction: str,
) -> Observation:
    """What the policy sees at `stamp_ns`. pictures: exposure time and image of each camera."""
    frames = {
        camera.name: Frame(pixels_of(pictures[camera.name][1], camera), pictures[camera.name][0])
        for camera in spec.cameras
    }
    return Observation(stamp_ns, frames, state, instruction)


def pictures_of(spec: Spec, samples: Mapping[str, Sample]) -> dict[str, tuple[int, Picture]]:
    """Exposure time and image of each camera the policy needs."""
    return {c.name: (samples[c.name].stamp_ns, samples[c.name].value) for c in spec.cameras}
