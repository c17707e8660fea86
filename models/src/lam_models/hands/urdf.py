"""A hand's own kinematics as a URDF, for simulators and solvers that read no YAML of ours.

Links, joints and limits are the file's; coupled joints are mimic joints of the actuated one that
they hang on in the end. A motor that no link carries gets an empty link of its own on the base.
Beside them are the palm frame, `palm_frame`, and each fingertip's point, `<finger>_tip`. A URDF
knows no sides: a left hand's points are as they are, not mirrored.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lam_models.command import UserError
from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_parts import BASE, Fingertip, Model, Palm, Vector

PALM_LINK = "palm_frame"
_ZERO: Vector = (0.0, 0.0, 0.0)


def tip_link(finger: str) -> str:
    """Name of the link at a finger's tip."""
    return f"{finger}_tip"


def write_urdf(spec: HandSpec, path: Path) -> HandSpec:
    """Write the URDF; the same hand with its kinematics from that file comes back.

    UserError for a hand whose kinematics are in another file already.
    """
    robot = to_urdf(spec)
    ElementTree.indent(robot)
    ElementTree.ElementTree(robot).write(path, encoding="unicode", xml_declaration=True)
    tips = {finger: Fingertip(tip_link(finger)) for finger in spec.tips}
    model = Model(urdf=str(path.resolve()))
    return replace(spec, model=model, palm=Palm(PALM_LINK), fingertips=tips)


def to_urdf(spec: HandSpec) -> ElementTree.Element:
    """The <robot> element."""
    if spec.model.primitive is None:
        raise UserError(f"{spec.path}: its kinematics are in a file of their own already")
    robot = ElementTree.Element("robot", name=spec.hand)
    ElementTree.SubElement(robot, "link", name=BASE)
    carried = set()
    for name, link in spec.model.primitive.links.items():
        where = (link.parent, link.at_m, link.rpy_rad)
        if link.joint is None:
            _fixed(robot, name, *where)
        else:
            _moving(robot, spec, name, link.joint, link.axis, *where)
            carried.add(link.joint)
    for name in spec.actuated:
        if name not in carried:
            _moving(robot, spec, f"{name}_motor", name, (0.0, 0.0, 1.0), BASE, _ZERO, _ZERO)
    _fixed(robot, PALM_LINK, spec.palm.link, spec.palm.at_m, spec.palm.rpy_rad)
    for finger, tip in spec.fingertips.items():
        _fixed(robot, tip_link(finger), tip.link, tip.offset_m, _ZERO)
    return robot


def _fixed(robot: ElementTree.Element, name: str, parent: str, at_m: Vector, rpy: Vector) -> None:
    _joint(robot, f"{name}_mount", "fixed", name, parent, at_m, rpy)


def _moving(
    robot: ElementTree.Element,
    spec: HandSpec,
    link: str,
    joint: str,
    axis: Vector,
    parent: str,
    at_m: Vector,
    rpy: Vector,
) -> None:
    element = _joint(robot, joint, spec.kind(joint), link, parent, at_m, rpy)
    ElementTree.SubElement(element, "axis", xyz=_text(axis))
    matrix, offset = spec.coupling()
    row = spec.names.index(joint)
    ends = sorted(float(matrix[row] @ end + offset[row]) for end in (spec.lower, spec.upper))
    lower, upper = spec.joints[joint].limits or ends
    column = int(abs(matrix[row]).argmax())
    speed = abs(matrix[row, column]) * spec.max_speed[column]
    limits = {"lower": lower, "upper": upper, "velocity": speed, "effort": 1.0}
    ElementTree.SubElement(element, "limit", {k: _text([v]) for k, v in limits.items()})
    if spec.joints[joint].follows is not None:
        ratio = {"multiplier": _text([matrix[row, column]]), "offset": _text([offset[row]])}
        ElementTree.SubElement(element, "mimic", {"joint": spec.actuated[column], **ratio})


def _joint(
    robot: ElementTree.Element,
    name: str,
    kind: str,
    link: str,
    parent: str,
    at_m: Vector,
    rpy: Vector,
) -> ElementTree.Element:
    """A link and the joint that hangs it on its parent."""
    ElementTree.SubElement(robot, "link", name=link)
    joint = ElementTree.SubElement(robot, "joint", name=name, type=kind)
    ElementTree.SubElement(joint, "origin", xyz=_text(at_m), rpy=_text(rpy))
    ElementTree.SubElement(joint, "parent", link=parent)
    ElementTree.SubElement(joint, "child", link=link)
    return joint


def _text(numbers: Sequence[float]) -> str:
    return " ".join(f"{float(number):.9g}" for number in numbers)
