"""Kinematics of a hand whose model is an MJCF or URDF file, through MuJoCo.

Only the kinematics of the file are used. A URDF is stripped of its shapes and given equal masses
first, so its meshes need not be there. Joints of the file that the hand's YAML does not list stay
where the file rests them; couplings must be in the YAML, and one that is only in the file is
refused, for it would silently be lost.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from lam_models import geometry
from lam_models.command import UserError, unknown
from lam_models.hands.kinematics import Poses, Tips, mirror, palm_pose
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_file import model_file
from lam_models.hands.spec_parts import BASE, Fingertip, Palm

_LIMIT_SLACK = 1e-3


class MujocoKinematics:
    """The interface of kinematics.Kinematics; the poses of a stack are computed one by one.

    notes: what is odd about the file, though not wrong.
    """

    def __init__(self, spec: HandSpec) -> None:
        self.spec = spec
        self._mujoco, self._model, coupled = _compile(spec)
        self._data = self._mujoco.MjData(self._model)
        found = {name: self._joint(name) for name in spec.names}
        self._joints = {name: joint for name, joint in found.items() if joint >= 0}
        rows = [spec.names.index(name) for name in self._joints]
        self._rows, self._ratio = rows, spec.coupling()[0][rows]
        self._qpos = self._model.jnt_qposadr[list(self._joints.values())]
        self._dofs = self._model.jnt_dofadr[list(self._joints.values())]
        self._tips = [self._point(tip) for tip in spec.fingertips.values()]
        self._palm = self._point(spec.palm)
        self.bones: tuple[int, ...] = (-1, *self._model.body_parentid[1:].tolist())
        self.carriers: tuple[int, ...] = tuple(self._body(point) for point in self._tips)
        self._mirror = mirror(spec)
        self._refuse_lost_couplings(coupled)
        self._to_palm = self._palm_frame()
        self.notes = tuple(self._odd(set(coupled)))

    def tips(self, q: Poses) -> Tips:
        return self._in_palm(self._each(q, self._world_tips))

    def jacobian(self, q: Poses) -> Float[np.ndarray, "*poses tips 3 actuated"]:
        turn = self._to_palm[:3, :3] * self._mirror[:, None]
        return turn @ self._each(q, self._world_jacobian)

    def tips_and_jacobian(
        self, q: Poses
    ) -> tuple[Tips, Float[np.ndarray, "*poses tips 3 actuated"]]:
        return self.tips(q), self.jacobian(q)

    def skeleton(self, q: Poses) -> Float[np.ndarray, "*poses links 3"]:
        return self._in_palm(self._each(q, self._data.xpos.copy))

    def _in_palm(self, points: np.ndarray) -> np.ndarray:
        return (points @ self._to_palm[:3, :3].T + self._to_palm[:3, 3]) * self._mirror

    def _each(self, q: Poses, read: Callable[[], np.ndarray]) -> np.ndarray:
        everything = self.spec.expand(q.reshape(-1, q.shape[-1]))[:, self._rows]
        out = []
        for positions in everything:
            self._data.qpos[self._qpos] = positions
            self._mujoco.mj_kinematics(self._model, self._data)
            out.append(read())
        if not out:
            out = [read()]
            return np.empty((*q.shape[:-1], *out[0].shape))
        return np.stack(out).reshape(*q.shape[:-1], *out[0].shape)

    def _world_tips(self) -> np.ndarray:
        return np.stack([self._place(tip)[:3, 3] for tip in self._tips])

    def _place(self, point: tuple[bool, int, np.ndarray]) -> geometry.Pose:
        """Pose in the world of a point, whose frame is its body's or site's."""
        is_site, index, offset = point
        data = self._data
        turn = (data.site_xmat if is_site else data.xmat)[index].reshape(3, 3)
        return geometry.pose(
            turn, (data.site_xpos if is_site else data.xpos)[index] + turn @ offset
        )

    def _body(self, point: tuple[bool, int, np.ndarray]) -> int:
        is_site, index, _ = point
        return int(self._model.site_bodyid[index]) if is_site else index

    def _world_jacobian(self) -> np.ndarray:
        self._mujoco.mj_comPos(self._model, self._data)
        return np.stack([self._jacobian_of(tip) for tip in self._tips])

    def _jacobian_of(self, point: tuple[bool, int, np.ndarray]) -> np.ndarray:
        full = np.zeros((3, self._model.nv))
        place = self._place(point)[:3, 3].copy()
        self._mujoco.mj_jac(self._model, self._data, full, None, place, self._body(point))
        return full[:, self._dofs] @ self._ratio

    def _joint(self, name: str) -> int:
        """Index of a joint in the file, -1 for a motor that only leads others."""
        mujoco, model, spec = self._mujoco, self._model, self.spec
        index = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_JOINT, name)
        if index < 0:
            if any(j.follows and j.follows.joint == name for j in spec.joints.values()):
                return -1
            raise UserError(f"{spec.path}: joints: {unknown('joint', name, self._joint_names())}")
        kinds = {mujoco.mjtJoint.mjJNT_HINGE: "revolute", mujoco.mjtJoint.mjJNT_SLIDE: "prismatic"}
        kind = kinds.get(mujoco.mjtJoint(model.jnt_type[index]), "ball or free")
        if kind != spec.kind(name):
            raise UserError(
                f"{spec.path}: joints: {name}: is {spec.kind(name)} here and {kind} in the model"
            )
        return index

    def _joint_names(self) -> list[str]:
        return [self._model.joint(index).name for index in range(self._model.njnt)]

    def _point(self, point: Fingertip | Palm) -> tuple[bool, int, np.ndarray]:
        """Whether it is on a site, the index of the site or body, and its offset there."""
        mujoco, model = self._mujoco, self._model
        kinds = mujoco.mjtObj
        offset = np.array(point.offset_m if isinstance(point, Fingertip) else (0.0, 0.0, 0.0))
        body = 0 if point.link == BASE else mujoco.mj_name2id(model, kinds.mjOBJ_BODY, point.link)
        if body >= 0:
            return False, body, offset
        site = mujoco.mj_name2id(model, kinds.mjOBJ_SITE, point.link)
        if site < 0:
            names = [model.body(i).name for i in range(1, model.nbody)]
            names += [model.site(i).name for i in range(model.nsite)]
            what = "link or site of the model"
            raise UserError(f"{self.spec.path}: {unknown(what, point.link, [BASE, *names])}")
        return True, site, offset

    def _palm_frame(self) -> geometry.Pose:
        above = self._body(self._palm)
        moving = {int(self._model.jnt_bodyid[j]): name for name, j in self._joints.items()}
        while above > 0:
            if above in moving:
                raise UserError(
                    f"{self.spec.path}: palm: link '{self.spec.palm.link}' is moved by "
                    f"'{moving[above]}'"
                )
            above = int(self._model.body_parentid[above])
        self._mujoco.mj_kinematics(self._model, self._data)
        return geometry.inverse(self._place(self._palm) @ palm_pose(self.spec))

    def _refuse_lost_couplings(self, coupled: dict[str, str]) -> None:
        for name, leader in coupled.items():
            if name in self.spec.actuated and leader in self.spec.names:
                raise UserError(
                    f"{self.spec.path}: joints: {name}: follows '{leader}' in the model: "
                    "say so here with 'follows'"
                )

    def _odd(self, coupled: set[str]) -> Iterator[str]:
        for name in self._joint_names():
            if name not in self.spec.names:
                tied = ", though the model couples it" if name in coupled else ""
                yield f"joint '{name}' of the model is not listed and stays at rest{tied}"
        for name, joint in self._joints.items():
            limits, own = self.spec.joints[name].limits, self._model.jnt_range[joint]
            if limits is None or not self._model.jnt_limited[joint]:
                continue
            if limits[0] < own[0] - _LIMIT_SLACK or limits[1] > own[1] + _LIMIT_SLACK:
                yield (
                    f"limits of '{name}', [{limits[0]:g}, {limits[1]:g}], are wider than the "
                    f"model's [{own[0]:g}, {own[1]:g}]"
                )


def _compile(spec: HandSpec) -> tuple[Any, Any, dict[str, str]]:
    """MuJoCo, the compiled model, and which joint of the file follows which."""
    try:
        import mujoco
    except ImportError:
        raise UserError(f"{spec.path}: model: an MJCF or URDF needs `pip install mujoco`") from None
    path = model_file(spec)
    try:
        if spec.model.urdf is not None:
            text, coupled = _bare_urdf(path)
            return mujoco, mujoco.MjModel.from_xml_string(text), coupled
        model = mujoco.MjModel.from_xml_path(str(path))
    except (ValueError, ElementTree.ParseError) as error:
        raise UserError(f"{spec.path}: model: {path} does not load: {error}") from None
    coupled = {}
    for index in np.flatnonzero(model.eq_type == mujoco.mjtEq.mjEQ_JOINT):
        first, second = int(model.eq_obj1id[index]), int(model.eq_obj2id[index])
        if second >= 0:
            coupled[model.joint(first).name] = model.joint(second).name
    return mujoco, model, coupled


def _bare_urdf(path: Path) -> tuple[str, dict[str, str]]:
    """The URDF's links and joints alone, as MuJoCo takes them, and its mimic joints' leaders."""
    robot = ElementTree.parse(path).getroot()
    if robot.tag != "robot":
        raise UserError(f"{path}: is no URDF: its root is <{robot.tag}>, not <robot>")
    for link in robot.iter("link"):
        for part in list(link):
            link.remove(part)
        # MuJoCo wants a mass on whatever moves; kinematics do not ask how much.
        inertial = ElementTree.SubElement(link, "inertial")
        ElementTree.SubElement(inertial, "mass", value="1")
        turning = {"ixx": "1", "iyy": "1", "izz": "1", "ixy": "0", "ixz": "0", "iyz": "0"}
        ElementTree.SubElement(inertial, "inertia", turning)
    coupled = {}
    for joint in robot.iter("joint"):
        mimic = joint.find("mimic")
        if mimic is not None:
            coupled[joint.get("name", "")] = mimic.get("joint", "")
    extension = ElementTree.SubElement(robot, "mujoco")
    # Fixed links keep their names, which fingertips may bear; the root hangs on the base by a
    # fixed joint of MuJoCo's own.
    ElementTree.SubElement(extension, "compiler", fusestatic="false")
    return ElementTree.tostring(robot, encoding="unicode"), coupled
