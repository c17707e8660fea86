"""Reads a hand's YAML file; every mistake is a UserError that names file, key, value, allowed.

The hands that come with this package are the YAML files beside this module.
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from lam_models import strict_json
from lam_models.command import UserError, unknown
from lam_models.hands.human import ANGLES, FINGERS
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_parts import BASE, PALM, RANGE_UNITS, Joint, Primitive
from lam_models.strict_yaml import read_yaml

FOLDER = Path(__file__).parent
_TYPE = re.compile(r"[a-z][a-z0-9_]*/(msg|srv|action)/[A-Z][A-Za-z0-9]*")
_ROS_NAME = re.compile(r"[~/]?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*")
_KIND_OF_TYPE = {"topic": "msg", "action": "action", "service": "srv"}
_UNIT_KINDS = {"rad": "revolute", "deg": "revolute", "m": "prismatic", "mm": "prismatic"}
_SLACK = 1e-6  # Of a follower's range: rounding in the file.


def shipped_hands() -> dict[str, Path]:
    """Files of the hands that come with this package, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def find_hand(name: str) -> Path:
    """The file of a hand given as a path or as the name of one that comes with this package."""
    path = Path(name).expanduser()
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return path
    if name not in shipped_hands():
        raise unknown("hand", name, shipped_hands())
    return shipped_hands()[name]


def read_hand(source: str | Path) -> HandSpec:
    """The checked hand of a file, or of a name as `find_hand` takes it."""
    path = find_hand(str(source))
    if not path.is_file():
        raise UserError(f"hand file {path}: there is no such file")
    content = read_yaml(path)
    try:
        spec = strict_json.from_json(HandSpec, content, str(path))
        if "path" in content:
            raise unknown("key", "path", (f.name for f in fields(HandSpec) if f.name != "path"))
        spec = replace(spec, path=path)
        for check in _CHECKS:
            check(spec)
    except UserError as error:
        text = str(error)
        raise UserError(text if text.startswith(str(path)) else f"{path}: {text}") from None
    return spec


def model_file(spec: HandSpec) -> Path:
    """The MJCF or URDF file of a hand that has one. UserError if it is not there."""
    text = spec.model.mjcf or spec.model.urdf or ""
    package, colon, rest = text.partition(":")
    if colon:
        try:
            found = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            found = None
        if found is None or not found.submodule_search_locations:
            raise UserError(f"{spec.path}: model: '{text}' needs the Python package '{package}'")
        path = Path(next(iter(found.submodule_search_locations))) / rest
    else:
        path = spec.path.parent / Path(os.path.expandvars(text)).expanduser()
    if not path.is_file():
        raise UserError(f"{spec.path}: model: '{text}' is {path}, which does not exist")
    return path


def _numbers(value: Any, where: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        yield where, value
    elif is_dataclass(value):
        for entry in fields(value):
            yield from _numbers(getattr(value, entry.name), f"{where}{entry.name}: ")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(item, f"{where}{key}: ")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _numbers(item, f"{where}[{index}]: ")


def _check_numbers(spec: HandSpec) -> None:
    for where, number in _numbers(spec):
        if not math.isfinite(number):
            raise UserError(f"{where}{number} is no finite number")


def _among(what: str, name: str, known: Iterable[str]) -> None:
    if name not in (names := list(known)):
        raise unknown(what, name, names)


def _check_joints(spec: HandSpec) -> None:
    if not spec.joints:
        raise UserError("joints: there are none; a hand has at least one")
    for name, joint in spec.joints.items():
        where = f"joints: {name}"
        if joint.in_metres and joint.in_radians:
            raise UserError(
                f"{where}: {joint.in_radians[0]} and {joint.in_metres[0]} exclude each other: a "
                "revolute joint has keys in rad, a prismatic one in m"
            )
        if joint.limits is not None and not joint.limits[0] < joint.limits[1]:
            low, high = joint.limits
            raise UserError(f"{where}: limits [{low:g}, {high:g}] must be [lower, upper]")
        for key in (*joint.in_metres, *joint.in_radians):
            value = getattr(joint, key)
            if isinstance(value, float) and value <= 0.0:
                raise UserError(f"{where}: {key} is {value:g}, must be above 0")
        if joint.slot:
            _among(f"slot of joint '{name}'", joint.slot.removeprefix("-"), ANGLES)
        if joint.follows is None and joint.limits is None:
            raise UserError(f"{where}: needs limits_rad or limits_m: only a follower may omit them")
    _check_coupling(spec)


def _check_coupling(spec: HandSpec) -> None:
    for name, joint in spec.joints.items():
        trail = [name]
        while joint.follows is not None:
            leader = joint.follows.joint
            _among(f"joint in joints: {trail[-1]}: follows", leader, spec.joints)
            if leader in trail:
                loop = " -> ".join([*trail, leader])
                raise UserError(f"joints: {name}: the coupling is a loop: {loop}")
            trail.append(leader)
            joint = spec.joints[leader]
    for name, joint in spec.joints.items():
        if joint.follows is not None:
            _check_follower(spec, name, joint)


def _check_follower(spec: HandSpec, name: str, joint: Joint) -> None:
    where, follows = f"joints: {name}", joint.follows
    assert follows is not None
    wrong, right = ("offset_rad", "offset_m") if spec.kind(name) == "prismatic" else (
        "offset_m", "offset_rad")  # fmt: skip
    if getattr(follows, wrong) is not None:
        raise UserError(f"{where}: follows: {wrong} on a {spec.kind(name)} joint: write {right}")
    if follows.ratio == 0.0:
        raise UserError(f"{where}: follows: ratio is 0, so it never moves: leave the joint out")
    row = spec.names.index(name)
    ends = sorted(float(spec.expand(q)[row]) for q in (spec.lower, spec.upper))
    limits = joint.limits
    if limits and not (limits[0] - _SLACK <= ends[0] and ends[1] <= limits[1] + _SLACK):
        raise UserError(
            f"{where}: follows '{follows.joint}' from {ends[0]:g} to {ends[1]:g}, beyond its own "
            f"limits [{limits[0]:g}, {limits[1]:g}]"
        )


def _check_model(spec: HandSpec) -> None:
    model = spec.model
    given = [name for name in ("primitive", "mjcf", "urdf") if getattr(model, name) is not None]
    if len(given) != 1:
        found = ", ".join(given) or "none"
        raise UserError(f"model: needs exactly one of primitive, mjcf, urdf; found {found}")
    if model.primitive is None:
        return
    links = model.primitive.links
    _check_links(spec, model.primitive)
    _among("link in palm", spec.palm.link, (BASE, *links))
    above = spec.palm.link
    while above != BASE:
        if links[above].joint is not None:
            raise UserError(f"palm: link '{spec.palm.link}' is moved by '{links[above].joint}'")
        above = links[above].parent
    for name, tip in spec.fingertips.items():
        _among(f"link in fingertips: {name}", tip.link, (BASE, *links))


def _check_links(spec: HandSpec, primitive: Primitive) -> None:
    carried: dict[str, str] = {}
    for index, (name, link) in enumerate(primitive.links.items()):
        where = f"model: primitive: links: {name}"
        if name == BASE:
            raise UserError(f"{where}: '{BASE}' is the root's name")
        before = [BASE, *list(primitive.links)[:index]]
        if link.parent not in before:
            if link.parent in primitive.links:
                raise UserError(f"{where}: its parent '{link.parent}' must stand before it")
            raise UserError(f"{where}: {unknown('parent', link.parent, before)}")
        if link.joint is None:
            continue
        _among(f"joint in {where}", link.joint, spec.joints)
        if link.joint in carried:
            raise UserError(f"{where}: joint '{link.joint}' moves '{carried[link.joint]}' already")
        carried[link.joint] = name
        if math.hypot(*link.axis) < 1e-9:
            raise UserError(f"{where}: axis [0, 0, 0] has no direction")
    for name in spec.joints:
        led = any(j.follows is not None and j.follows.joint == name for j in spec.joints.values())
        if name not in carried and not led:
            raise UserError(f"joints: {name}: moves no link and leads no joint")


def _check_tips(spec: HandSpec) -> None:
    for name in spec.fingertips:
        _among("fingertip (named after the human finger it stands for)", name, FINGERS)
    if "thumb" not in spec.fingertips or len(spec.fingertips) < 2:
        found = ", ".join(spec.fingertips) or "none"
        raise UserError(f"fingertips: needs thumb and at least one other finger; found {found}")
    if not spec.key_vectors:
        raise UserError("key_vectors: there are none; write pairs such as [palm, index]")
    for pair in spec.key_vectors:
        for end in pair:
            _among("end in key_vectors", end, (PALM, *spec.fingertips))
        if pair[0] == pair[1]:
            raise UserError(f"key_vectors: [{pair[0]}, {pair[1]}] has no length")
        if sum(set(pair) == set(other) for other in spec.key_vectors) > 1:
            raise UserError(f"key_vectors: [{pair[0]}, {pair[1]}] is there twice")


def _check_command(spec: HandSpec) -> None:
    command = spec.command
    if not _TYPE.fullmatch(command.type):
        raise UserError(f"command: type '{command.type}' must be like 'std_msgs/msg/Float64'")
    kind = _KIND_OF_TYPE[command.interface]
    if f"/{kind}/" not in command.type:
        raise UserError(
            f"command: type '{command.type}' is none of interface '{command.interface}', whose "
            f"types have '/{kind}/'"
        )
    if not _ROS_NAME.fullmatch(command.name):
        raise UserError(f"command: name '{command.name}' must be a ROS name such as '/hand/target'")
    if not 0.0 < command.rate_hz <= 2000.0:
        raise UserError(f"command: rate_hz is {command.rate_hz:g}, must be above 0 up to 2000")
    _check_order(spec)


def _check_order(spec: HandSpec) -> None:
    unit, listed = spec.command.unit, [channel.joint for channel in spec.command.order]
    for channel in spec.command.order:
        name = channel.joint
        _among("actuated joint in command: order", name, spec.actuated)
        if listed.count(name) > 1:
            raise UserError(f"command: order: '{name}' is there {listed.count(name)} times")
        if unit in RANGE_UNITS and channel.offset != 0.0:
            raise UserError(f"command: order: {name}: offset has no meaning with unit '{unit}'")
        kind = spec.kind(name)
        if _UNIT_KINDS.get(unit, kind) != kind:
            raise UserError(f"command: unit '{unit}' does not fit '{name}', a {kind} joint")
    if missing := [name for name in spec.actuated if name not in listed]:
        raise UserError(f"command: order: misses {', '.join(missing)}")


_CHECKS: tuple[Callable[[HandSpec], None], ...] = (
    _check_numbers,
    _check_joints,
    _check_tips,
    _check_model,
    _check_command,
)
