"""Messages of packages that are not on every machine, read from what their drivers document."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

# By the class that an adapter fills: of an action the goal, of a service the request.
LAYOUTS = {
    "control_msgs/msg/GripperCommand": "float64 position\nfloat64 max_effort",
    "control_msgs/action/GripperCommand.Goal": "control_msgs/GripperCommand command",
    "control_msgs/action/ParallelGripperCommand.Goal": "sensor_msgs/JointState command",
    "ah_messages/msg/Digits": "uint8 reply_mode\nfloat32[] data",
    "service_interfaces/msg/SetAngle1": "int32[] finger_ids\nint32[] angles",
    "service_interfaces/srv/Setangle.Request": (
        "int32 angle0\nint32 angle1\nint32 angle2\nint32 angle3\nint32 angle4\nint32 angle5\n"
        "int32 id\nstring status"
    ),
}


def _plain(name: str) -> str:
    """rosbags knows messages only."""
    return name.replace("/action/", "/msg/").replace("/srv/", "/msg/").replace(".", "_")


STORE = get_typestore(Stores.ROS2_JAZZY)
for _name, _text in LAYOUTS.items():
    STORE.register(get_types_from_msg(_text, _plain(_name)))


def stand_in(name: str) -> Any:
    """A class with the fields of a type, each with its default."""
    return partial(_make, _plain(name))


def _make(name: str, **given: Any) -> SimpleNamespace:
    fields = dict(STORE.fielddefs[name][1])
    assert given.keys() <= fields.keys(), given.keys() - fields.keys()
    return SimpleNamespace(**{field: _default(d) for field, d in fields.items()} | given)


def _default(definition: Any) -> Any:
    node, detail = definition
    if node == Nodetype.NAME:
        return _make(detail)
    if node == Nodetype.BASE:
        return "" if detail[0] == "string" else 0
    return []


def encoded(name: str, message: Any) -> bytes:
    """The message as it goes over the wire: little-endian CDR after its header of 4 bytes."""
    return bytes(STORE.serialize_cdr(_typed(_plain(name), message), _plain(name)))[4:]


def _typed(name: str, message: Any) -> Any:
    fields = dict(STORE.fielddefs[name][1])
    return STORE.types[name](
        **{
            field: _value(definition, getattr(message, field))
            for field, definition in fields.items()
        }
    )


def _value(definition: Any, value: Any) -> Any:
    node, detail = definition
    if node == Nodetype.NAME:
        return _typed(detail, value)
    if node == Nodetype.BASE:
        return value
    kind = detail[0][1][0]
    return list(value) if kind == "string" else np.asarray(value, dtype=kind)
