"""From aligned samples to what a policy sees: the same code live and offline.

Streams: one a camera, by the camera's name, with Pictures; "ee_pose" with 4x4 poses in the base
frame; "joints" with positions [rad or m] by joint name. Of a policy's state vectors "ee" is made of
the pose (position m, rotation vector rad), every other one of the joints its spec names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from lam_models.checkpoint import CameraSpec, Spec
from lam_models.command import UserError
from lam_models.geometry import so3_log
from lam_models.sense.align import Sample, StreamRule
from lam_models.sense.pixels import decode_compressed, decode_raw, fit
from lam_models.types import Frame, Observation

POSE, JOINTS = "ee_pose", "joints"
COMPRESSED = "compressed"

State = dict[str, Float64[np.ndarray, " size"]]


@dataclass(frozen=True)
class Picture:
    """An image as it came, not yet decoded: most are never looked at.

    encoding: of sensor_msgs/Image, or "compressed" (then the sizes are 0 and `format` says which).
    data: anything with the buffer protocol.
    """

    data: Any
    encoding: str
    height: int = 0
    width: int = 0
    step: int = 0
    format: str = ""


@dataclass(frozen=True)
class Ages:
    """How old each kind of stream may be."""

    camera_s: float = 0.2
    joints_s: float = 0.2
    pose_s: float = 0.2


def rules(spec: Spec, ages: Ages, needs_pose: bool = False) -> dict[str, StreamRule]:
    """The streams that a policy needs. needs_pose: somebody else needs the pose, too."""
    out = {camera.name: StreamRule(ages.camera_s) for camera in spec.cameras}
    if needs_pose or "ee" in spec.state:
        out[POSE] = StreamRule(ages.pose_s)
    if set(spec.state) - {"ee"}:
        out[JOINTS] = StreamRule(ages.joints_s)
    return out


def state_of(spec: Spec, samples: Mapping[str, Sample]) -> State:
    """The state vectors. UserError for a joint that the robot does not report."""
    out: State = {}
    for vector, names in spec.state.items():
        if vector == "ee":
            T_base_ee = samples[POSE].value
            out[vector] = np.concatenate([T_base_ee[:3, 3], so3_log(T_base_ee[:3, :3])])
            continue
        joints = samples[JOINTS].value
        if missing := [name for name in names if name not in joints]:
            known = ", ".join(joints)
            raise UserError(f"the robot reports no joint '{missing[0]}'; it reports: {known}")
        out[vector] = np.array([joints[name] for name in names], np.float64)
    return out


def pixels_of(picture: Picture, camera: CameraSpec) -> UInt8[np.ndarray, "height width 3"]:
    """The picture as the policy wants it: RGB, of the camera's size, memory of its own."""
    if picture.encoding == COMPRESSED:
        pixels = decode_compressed(picture.data, picture.format)
    else:
        pixels = decode_raw(
            picture.data, picture.encoding, picture.height, picture.width, picture.step
        )
    fitted = fit(pixels, camera.height, camera.width, camera.fit)
    return fitted.copy() if np.may_share_memory(fitted, pixels) else fitted


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
