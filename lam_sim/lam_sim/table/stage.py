"""The empty room: physics options, lights, table, wall and cameras.

Every model has the same textures and materials in the same order, and no meshes, so that one
drawing context serves all models of a process.
"""

from __future__ import annotations

import math

import mujoco
import numpy as np

from lam_models.geometry import matrix_from_quat, so3_log
from lam_models.sense.pinhole import Pinhole
from lam_sim.table.contact import FIXED, NOTHING, Contact

TIMESTEP_S = 0.002
CAMERAS: tuple[str, ...] = ("front", "wrist")
TEXTURE_SIZE = {"wall": (128, 256), "table": (128, 128)}  # height, width [px]
PLAIN_COLOR = {"wall": (0.80, 0.84, 0.88), "table": (0.76, 0.69, 0.60)}

_TABLE_HALF_M = (0.55, 0.65, 0.02)
_TABLE_CENTER_M = (0.40, 0.0, -0.02)
_FRONT_EYE_M = (1.14, -0.22, 0.60)
_FRONT_AIM_M = (0.44, 0.0, 0.105)
_FRONT_SEES_DEG = 36.0


def new_spec() -> mujoco.MjSpec:
    """A room without robot or objects."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    _set_physics(spec)
    _set_quality(spec)
    for name, (height, width) in TEXTURE_SIZE.items():
        _add_texture(spec, name, height, width)
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=(0.75, 0.79, 0.84),
        rgb2=(0.45, 0.48, 0.52),
        width=32,
        height=32 * 6,
    )
    _add_furniture(spec)
    _add_lights(spec)
    spec.worldbody.add_camera(
        name="front",
        pos=_FRONT_EYE_M,
        quat=looking(np.subtract(_FRONT_AIM_M, _FRONT_EYE_M)),
        fovy=_FRONT_SEES_DEG,
    )
    return spec


def front_pinhole() -> Pinhole:
    """The front camera as a lab would have calibrated it."""
    w, *xyz = looking(np.subtract(_FRONT_AIM_M, _FRONT_EYE_M))
    # MuJoCo's cameras look back along z with y up.
    R_base_camera = matrix_from_quat(np.array([*xyz, w])) @ np.diag([1.0, -1.0, -1.0])
    turn = so3_log(R_base_camera)
    focal = 1.0 / math.tan(math.radians(_FRONT_SEES_DEG) / 2)
    return Pinhole(focal, _FRONT_EYE_M, (float(turn[0]), float(turn[1]), float(turn[2])))


def looking(along: np.ndarray, up: tuple[float, float, float] = (0.0, 0.0, 1.0)) -> np.ndarray:
    """Quaternion (MuJoCo's w, x, y, z) of a camera whose view goes `along`."""
    back = -along / np.linalg.norm(along)
    right = np.cross(up, back)
    right /= np.linalg.norm(right)
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, np.column_stack([right, np.cross(back, right), back]).ravel())
    return quat


def _set_physics(spec: mujoco.MjSpec) -> None:
    option = spec.option
    option.timestep = TIMESTEP_S
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 5.0


def _set_quality(spec: mujoco.MjSpec) -> None:
    quality = spec.visual.quality
    quality.shadowsize = 0
    quality.offsamples = 0
    quality.numslices, quality.numstacks, quality.numquads = 18, 9, 2
    spec.visual.map.znear, spec.visual.map.zfar = 0.02, 6.0
    spec.stat.extent = 1.0
    spec.stat.center = (0.45, 0.0, 0.1)


def _add_texture(spec: mujoco.MjSpec, name: str, height: int, width: int) -> None:
    spec.add_texture(
        name=name,
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        rgb1=PLAIN_COLOR[name],
        width=width,
        height=height,
        nchannel=3,
    )
    material = spec.add_material(name=name, specular=0.1, shininess=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name


def _add_furniture(spec: mujoco.MjSpec) -> None:
    table = spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=_TABLE_HALF_M,
        pos=_TABLE_CENTER_M,
        material="table",
    )
    Contact(FIXED, friction=0.5).put_on(table)
    wall = spec.worldbody.add_geom(
        name="wall",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=(1.8, 0.9, 1.0),
        pos=(-0.45, 0.3, 0.4),
        quat=_facing_x(),
        material="wall",
    )
    Contact(NOTHING).put_on(wall)


def _facing_x() -> np.ndarray:
    """The orientation whose x is base y, y is base z and normal z is base x."""
    quat = np.empty(4)
    mujoco.mju_mat2Quat(quat, np.array([0.0, 0, 1, 1, 0, 0, 0, 1, 0]))
    return quat


def _add_lights(spec: mujoco.MjSpec) -> None:
    spec.visual.headlight.ambient = (0.35, 0.35, 0.35)
    spec.visual.headlight.diffuse = (0.25, 0.25, 0.25)
    spec.visual.headlight.specular = (0.0, 0.0, 0.0)
    spec.worldbody.add_light(
        name="lamp",
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        pos=(0.8, 0.8, 2.0),
        dir=(-0.35, -0.45, -0.82),
        diffuse=(0.55, 0.54, 0.52),
        specular=(0.25, 0.25, 0.25),
        castshadow=False,
    )
