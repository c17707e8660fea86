"""Builds the table and what stands on it, from primitives alone.

A task adds its things in the base frame: x forward from the robot, y to its left, z up, the table
top at z = 0. Every added thing is a named body of Truth; a drawer adds a scalar too.
"""

from __future__ import annotations

import mujoco
import numpy as np
from jaxtyping import Float64

from lam_models.command import unknown
from lam_sim.table.contact import FIXED, NOTHING, OBJECT, Contact, Layer
from lam_sim.table.look import Rgba

COLORS: dict[str, Rgba] = {
    "red": (0.86, 0.16, 0.15, 1.0),
    "green": (0.20, 0.66, 0.30, 1.0),
    "blue": (0.13, 0.38, 0.84, 1.0),
    "yellow": (0.97, 0.78, 0.12, 1.0),
    "orange": (0.96, 0.49, 0.10, 1.0),
    "purple": (0.52, 0.25, 0.72, 1.0),
    "white": (0.95, 0.95, 0.93, 1.0),
    "black": (0.10, 0.10, 0.12, 1.0),
}
# Of no thing that is drawn by chance: what shows one is new to whoever learnt of the others.
NEW_COLORS: dict[str, Rgba] = {"pink": (0.97, 0.50, 0.75, 1.0)}
SHAPES = ("cube", "cylinder", "ball", "capsule", "hexagon", "bar", "ell", "crate")
WORKSPACE_LOWER_M = np.array([0.28, -0.32, 0.002])
WORKSPACE_UPPER_M = np.array([0.68, 0.32, 0.5])

_DENSITY_KG_M3 = 400.0
_BOX = mujoco.mjtGeom.mjGEOM_BOX
_CYLINDER = mujoco.mjtGeom.mjGEOM_CYLINDER
Xy = tuple[float, float]
Part = tuple[mujoco.mjtGeom, tuple[float, float, float], tuple[float, float, float], float]


def color_rgba(name: str) -> Rgba:
    """The colour of that name; UserError for an unknown one."""
    known = COLORS | NEW_COLORS
    if name not in known:
        raise unknown("colour", name, known)
    return known[name]


def shape_parts(shape: str, width_m: float) -> tuple[Part, ...]:
    """Primitives (type, half sizes, position, yaw) of a shape that a grip of `width_m` fits.

    Every shape stands `width_m` high about its origin, but the capsule and the bar lie twice as
    long along x; all are `width_m` wide along y.
    """
    r, wall = width_m / 2, width_m / 12
    centre = (0.0, 0.0, 0.0)
    parts: dict[str, tuple[Part, ...]] = {
        "cube": ((_BOX, (r, r, r), centre, 0.0),),
        "bar": ((_BOX, (2 * r, r, r), centre, 0.0),),
        "cylinder": ((_CYLINDER, (r, r, 0), centre, 0.0),),
        "ball": ((mujoco.mjtGeom.mjGEOM_SPHERE, (r, 0, 0), centre, 0.0),),
        "capsule": ((mujoco.mjtGeom.mjGEOM_CAPSULE, (r, r, 0), centre, 0.0),),
        # Three boxes between opposite sides make a regular hexagon.
        "hexagon": tuple(
            (_BOX, (r / np.sqrt(3.0), r, r), centre, turn * np.pi / 3) for turn in range(3)
        ),
        "ell": (
            (_BOX, (r, r, r), centre, 0.0),
            (_BOX, (r / 2, r, r), (1.5 * r, r, 0), 0.0),
        ),
        # A floor and four walls, which leave it open above.
        "crate": (
            (_BOX, (r, r, wall), (0, 0, wall - r), 0.0),
            *((_BOX, (r, wall, r), (0, side * (r - wall), 0), 0.0) for side in (-1, 1)),
            *((_BOX, (wall, r, r), (side * (r - wall), 0, 0), 0.0) for side in (-1, 1)),
        ),
    }
    if shape not in parts:
        raise unknown("shape", shape, SHAPES)
    return parts[shape]


class Scene:
    """The world under construction.

    bodies: names of the added bodies in their order. scalars: MuJoCo joint by scalar name.
    """

    def __init__(self, spec: mujoco.MjSpec) -> None:
        self.spec = spec
        self.bodies: list[str] = []
        self.scalars: dict[str, str] = {}

    def add_object(
        self,
        name: str,
        shape: str,
        color: str,
        position_m: Float64[np.ndarray, "3"] | tuple[float, float, float],
        *,
        yaw_rad: float = 0.0,
        width_m: float = 0.04,
    ) -> None:
        """A loose object, its centre at `position_m` (rests on the table at z = width / 2)."""
        body = self._add_body(name, tuple(position_m), yaw_rad)
        body.add_freejoint(name=f"{name}_free")
        lies = (np.cos(np.pi / 4), 0, np.sin(np.pi / 4), 0)
        for kind, size, offset, turn in shape_parts(shape, width_m):
            upright = (np.cos(turn / 2), 0, 0, np.sin(turn / 2))
            geom = body.add_geom(
                type=kind,
                size=size,
                pos=offset,
                quat=lies if kind == mujoco.mjtGeom.mjGEOM_CAPSULE else upright,
                rgba=color_rgba(color),
                density=_DENSITY_KG_M3,
            )
            # The larger friction of a pair counts: smooth on the table, where a push must
            # not topple it, while fingertips bring their own grip.
            Contact(OBJECT, friction=0.5, rolling_m=0.001).put_on(geom)

    def add_absent(self, name: str) -> None:
        """A body of Truth with nothing in it, below the table: what this episode goes without."""
        self._add_body(name, (0.0, 0.0, -1.0), 0.0)

    def add_zone(self, name: str, color: str, center_m: Xy, radius_m: float = 0.06) -> None:
        """A flat disc painted on the table; nothing touches it."""
        body = self._add_body(name, (*center_m, 0.001), 0.0)
        red, green, blue, _ = color_rgba(color)
        _geom(body, _CYLINDER, (radius_m, 0.001, 0), (0, 0, 0), (red, green, blue, 1.0), NOTHING)

    def add_bowl(
        self,
        name: str,
        color: str,
        center_m: Xy,
        *,
        radius_m: float = 0.075,
        height_m: float = 0.045,
    ) -> None:
        """An open bowl that stands fast; its frame is at the middle of its foot, on the table.

        radius_m: inner radius at the rim.
        """
        body = self._add_body(name, (*center_m, 0.0), 0.0)
        rgba = color_rgba(color)
        _geom(body, _CYLINDER, (0.8 * radius_m, 0.003, 0), (0, 0, 0.003), rgba, FIXED)
        sides, lean = 10, np.arctan2(0.25 * radius_m, height_m)
        middle = 0.875 * radius_m + 0.003
        long = (radius_m + 0.006) * np.tan(np.pi / sides)
        for side in range(sides):
            angle = 2 * np.pi * side / sides
            turn = np.array([np.cos(angle / 2), 0, 0, np.sin(angle / 2)])
            tilt = np.array([np.cos(lean / 2), 0, np.sin(lean / 2), 0])
            quat = np.empty(4)
            mujoco.mju_mulQuat(quat, turn, tilt)
            at = (middle * np.cos(angle), middle * np.sin(angle), height_m / 2)
            half = (0.003, long, 0.5 * height_m / np.cos(lean))
            _geom(body, _BOX, half, at, rgba, FIXED, quat)

    def add_drawer(
        self, name: str, color: str, center_m: Xy, *, yaw_rad: float = 0.0, travel_m: float = 0.14
    ) -> None:
        """A drawer unit whose front looks along its own -x, toward the robot when yaw is 0.

        The body `name` is the box that slides, `<name>_handle` (a body of Truth too) the middle of
        its grip. Scalar `<name>.opening_m`: 0 shut .. `travel_m` open.
        """
        rgba = color_rgba(color)
        unit = self.spec.worldbody.add_body(
            name=f"{name}_unit", pos=(*center_m, 0.0), quat=_yaw_quat(yaw_rad)
        )
        wood = (0.55, 0.42, 0.30, 1.0)
        deep, wide, high = 0.09, 0.11, 0.05
        for sign in (-1.0, 1.0):
            _geom(unit, _BOX, (deep, 0.005, high), (0, sign * wide, high), wood, FIXED)
        _geom(unit, _BOX, (deep, wide, 0.005), (0, 0, 2 * high), wood, FIXED)
        _geom(unit, _BOX, (0.005, wide, high), (deep, 0, high), wood, FIXED)
        box = self._add_child(unit, name, (-deep, 0.0, high))
        box.add_joint(
            name=f"{name}_slide",
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=(-1, 0, 0),
            range=(0.0, travel_m),
            damping=4.0,
            frictionloss=0.6,
            armature=0.02,
        )
        self.scalars[f"{name}.opening_m"] = f"{name}_slide"
        inner = wide - 0.01
        _geom(box, _BOX, (0.006, inner, high - 0.008), (-0.006, 0, 0), rgba, FIXED, mass=0.2)
        _geom(box, _BOX, (0.075, inner, 0.003), (0.075, 0, 0.012 - high), rgba, NOTHING, mass=0.1)
        for sign in (-1.0, 1.0):
            side = (0.075, 0.004, 0.03)
            _geom(box, _BOX, side, (0.075, sign * inner, 0.04 - high), rgba, NOTHING, mass=0.05)
        _add_handle(self._add_child(box, f"{name}_handle", (-0.07, 0.0, 0.02)))

    def _add_body(self, name: str, position_m: tuple[float, ...], yaw_rad: float) -> mujoco.MjsBody:
        body = self._add_child(self.spec.worldbody, name, position_m)
        body.quat = _yaw_quat(yaw_rad)
        return body

    def _add_child(
        self, parent: mujoco.MjsBody, name: str, position_m: tuple[float, ...]
    ) -> mujoco.MjsBody:
        if name in self.bodies:
            raise ValueError(f"the scene has a body '{name}' already")
        self.bodies.append(name)
        return parent.add_body(name=name, pos=position_m)


def _add_handle(handle: mujoco.MjsBody) -> None:
    """A standing bar on two posts: a hand from above closes around it along x or y."""
    metal = (0.75, 0.76, 0.78, 1.0)
    _geom(handle, _BOX, (0.007, 0.05, 0.01), (0, 0, 0), metal, FIXED, mass=0.05, friction=1.0)
    for sign in (-1.0, 1.0):
        _geom(
            handle, _BOX, (0.029, 0.006, 0.008), (0.029, sign * 0.044, 0), metal, NOTHING, mass=0.01
        )


def _geom(
    body: mujoco.MjsBody,
    kind: mujoco.mjtGeom,
    half_size: tuple[float, float, float],
    position_m: tuple[float, float, float],
    rgba: Rgba,
    layer: Layer,
    quat: np.ndarray | tuple[float, ...] = (1.0, 0.0, 0.0, 0.0),
    *,
    mass: float = 0.0,
    friction: float = 0.8,
) -> None:
    geom = body.add_geom(type=kind, size=half_size, pos=position_m, quat=quat, rgba=rgba, mass=mass)
    Contact(layer, friction).put_on(geom)


def _yaw_quat(yaw_rad: float) -> tuple[float, float, float, float]:
    return (float(np.cos(yaw_rad / 2)), 0.0, 0.0, float(np.sin(yaw_rad / 2)))
