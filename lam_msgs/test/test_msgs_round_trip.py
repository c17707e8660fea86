"""Every part of every interface survives serialisation, by rclpy and by a reader without ROS.

rclpy's CDR is compared with that of `rosbags`, which parses our .msg text by itself: a bag recorded
on a robot can be read where no ROS is installed.
"""

from __future__ import annotations

import array
import importlib
import re
from random import Random

import numpy as np
import pytest
from interface_files import FILES, class_of, parts
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

PARTS = [(path, part) for path in FILES for part in parts(path)]
IDS = [f"{path.stem}{part and '.'}{part}" for path, part in PARTS]

_INTEGER = re.compile(r"(u?)int(\d+)")
_ARRAY_CODE = {
    "double": "d", "float": "f", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H",
    "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q",
}  # fmt: skip


def class_named(type_name: str) -> type:
    """The message class of "package/Type"."""
    package, name = type_name.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


def value_of(kind: str, random: Random):
    """A random value of one rosidl type, never the default one."""
    if match := re.fullmatch(r"sequence<(.+?)(?:, \d+)?>", kind):
        values = [value_of(match[1], random) for _ in range(random.randint(1, 5))]
        return array.array(_ARRAY_CODE[match[1]], values) if match[1] in _ARRAY_CODE else values
    if match := re.fullmatch(r"(.+)\[(\d+)\]", kind):
        return np.array([value_of(match[1], random) for _ in range(int(match[2]))])
    if kind == "boolean":
        return True
    if kind == "string":
        return random.choice(["press the grün button", "a", "the longest of these instructions"])
    if kind == "double":
        return random.uniform(-9.0, 9.0)
    if kind == "float":
        return float(np.float32(random.uniform(-9.0, 9.0)))
    if match := _INTEGER.fullmatch(kind):
        bits = int(match[2])
        return random.randint(1, 2**bits - 1) if match[1] else -random.randint(1, 2 ** (bits - 1))
    return filled(class_named(kind), random)


def filled(message_class: type, random: Random):
    """A message with a random value in every field."""
    types = message_class.get_fields_and_field_types()
    return message_class(**{name: value_of(kind, random) for name, kind in types.items()})


def plain(store, type_name: str, message):
    """The same message as `rosbags` has it."""
    fields = {}
    for name in message.get_fields_and_field_types():
        value = getattr(message, name)
        if isinstance(value, array.array):
            value = np.array(value)
        elif isinstance(value, list) and value and hasattr(value[0], "get_fields_and_field_types"):
            value = [plain(store, type_name_of(item), item) for item in value]
        elif hasattr(value, "get_fields_and_field_types"):
            value = plain(store, type_name_of(value), value)
        elif isinstance(value, list) and value and isinstance(value[0], bool):
            value = np.array(value)
        fields[name] = value
    return store.types[type_name](**fields)


def type_name_of(message) -> str:
    """ "package/msg/Type" of a message."""
    return f"{type(message).__module__.split('.')[0]}/msg/{type(message).__name__}"


def bag_name(path, part: str) -> str:
    """A `rosbags` type name of one part; requests and goals become messages there."""
    return f"lam_msgs/msg/{path.stem}{part and '_'}{part}"


@pytest.fixture(scope="module")
def store():
    """A type store that learnt our interfaces from their text alone."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for path, part in PARTS:
        types.update(get_types_from_msg(parts(path)[part], bag_name(path, part)))
    store.register(types)
    return store


@pytest.mark.parametrize(("path", "part"), PARTS, ids=IDS)
def test_rclpy_round_trip(path, part):
    message_class = class_of(path, part)
    message = filled(message_class, Random(f"{path.stem}{part}"))
    assert message != message_class()
    assert deserialize_message(serialize_message(message), message_class) == message


@pytest.mark.parametrize(("path", "part"), PARTS, ids=IDS)
def test_readers_without_ros_agree(path, part, store):
    """Both ways, and byte for byte but for alignment gaps, which Fast CDR leaves as they were."""
    name, message_class = bag_name(path, part), class_of(path, part)
    for seed in range(5):
        message = filled(message_class, Random(f"{path.stem}{part}{seed}"))
        ros_bytes = serialize_message(message)
        bag_bytes = bytes(store.serialize_cdr(plain(store, name, message), name))
        assert len(ros_bytes) == len(bag_bytes)
        assert deserialize_message(bag_bytes, message_class) == message
        assert bytes(store.serialize_cdr(store.deserialize_cdr(ros_bytes, name), name)) == bag_bytes


@pytest.mark.parametrize(("path", "part"), PARTS, ids=IDS)
def test_the_built_package_has_the_fields_of_the_text(path, part, store):
    fields = [name for name, _ in store.fielddefs[bag_name(path, part)][1]]
    built = list(class_of(path, part).get_fields_and_field_types())
    assert built == fields or (not built and fields == ["structure_needs_at_least_one_member"])
