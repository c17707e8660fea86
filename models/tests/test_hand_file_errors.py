"""A mistake in a hand's file is one line that names file, key, value and what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lam_models.command import UserError
from lam_models.hands.driver import driver_units
from lam_models.hands.kinematics import open_kinematics
from lam_models.hands.spec_file import read_hand, shipped_hands

INSPIRE = shipped_hands()["inspire_rh56"].read_text()
GRIPPER = shipped_hands()["parallel_gripper"].read_text()
Change = Callable[[dict[str, Any]], object]


def refusal(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_hand(path)
    return str(caught.value)


def deep(keys: str, value: object) -> Change:
    """Sets the value at keys joined by dots; numbers among them count in a list."""

    def change(content: dict[str, Any]) -> None:
        *above, last = [int(key) if key.isdigit() else key for key in keys.split(".")]
        for key in above:
            content = content[key]
        content[last] = value

    return change


MISTAKES: dict[str, tuple[str, Change, tuple[str, ...]]] = {
    "unknown key": (INSPIRE, deep("finger_tips", {}), ("finger_tips", "Did you mean 'fingertips'")),
    "unknown key inside": (
        INSPIRE,
        deep("joints.index_bend.limit_rad", [0.0, 1.0]),
        ("index_bend", "limits_rad"),
    ),
    "the key no file has": (INSPIRE, deep("path", "x"), ("path",)),
    "missing key": (INSPIRE, lambda c: c.pop("side"), ("side", "missing")),
    "side": (INSPIRE, deep("side", "rechts"), ("side", "rechts", "right", "left")),
    "NaN": (
        INSPIRE,
        deep("joints.index_bend.limits_rad", [0.0, float("nan")]),
        ("index_bend", "nan"),
    ),
    "infinity": (INSPIRE, deep("command.rate_hz", float("inf")), ("rate_hz", "inf")),
    "text for a number": (INSPIRE, deep("command.rate_hz", "fast"), ("rate_hz", "fast")),
    "limits turned": (
        INSPIRE,
        deep("joints.index_bend.limits_rad", [1.0, 0.0]),
        ("index_bend", "[1, 0]"),
    ),
    "limits of three": (
        INSPIRE,
        deep("joints.index_bend.limits_rad", [0.0, 1.0, 2.0]),
        ("limits_rad",),
    ),
    "radians and metres": (
        INSPIRE,
        deep("joints.index_bend.limits_m", [0.0, 0.1]),
        ("limits_rad", "limits_m"),
    ),
    "no limits": (INSPIRE, deep("joints.index_bend", {}), ("index_bend", "limits_rad")),
    "speed below zero": (
        INSPIRE,
        deep("joints.index_bend.max_speed_rad_s", -1.0),
        ("max_speed_rad_s", "-1"),
    ),
    "unknown slot": (
        INSPIRE,
        deep("joints.index_bend.slot", "index_mcp_flexon"),
        ("index_mcp_flexion",),
    ),
    "loop": (
        INSPIRE,
        deep("joints.index_bend", {"follows": {"joint": "index_middle"}}),
        ("loop", "index_bend -> index_middle -> index_bend"),
    ),
    "unknown leader": (
        INSPIRE,
        deep("joints.index_middle.follows.joint", "index_bent"),
        ("index_bend",),
    ),
    "offset in the wrong unit": (
        GRIPPER,
        deep("joints.left_slide.follows.offset_rad", 0.1),
        ("offset_rad", "offset_m"),
    ),
    "ratio of zero": (
        INSPIRE,
        deep("joints.index_middle.follows.ratio", 0.0),
        ("index_middle", "ratio"),
    ),
    "coupling beyond the limits": (
        GRIPPER,
        deep("joints.left_slide.follows.ratio", 2.0),
        ("left_slide", "0.16", "0.04"),
    ),
    "no model": (INSPIRE, deep("model", {}), ("primitive, mjcf, urdf", "none")),
    "two models": (INSPIRE, deep("model.urdf", "x.urdf"), ("primitive, urdf",)),
    "unknown parent": (
        INSPIRE,
        deep("model.primitive.links.index_distal.parent", "index_proximl"),
        ("index_distal", "index_proximal"),
    ),
    "joint on two links": (
        INSPIRE,
        deep("model.primitive.links.index_distal.joint", "index_bend"),
        ("moves",),
    ),
    "axis of no length": (
        INSPIRE,
        deep("model.primitive.links.index_distal.axis", [0.0, 0.0, 0.0]),
        ("axis",),
    ),
    "joint that moves nothing": (
        INSPIRE,
        deep("joints.spare", {"limits_rad": [0.0, 1.0]}),
        ("spare", "no link"),
    ),
    "palm on a moving link": (INSPIRE, deep("palm", {"link": "index_distal"}), ("palm", "index_")),
    "finger that nobody has": (
        INSPIRE,
        deep("fingertips.pinky", {"link": "base"}),
        ("pinky", "little"),
    ),
    "tip on no link": (
        INSPIRE,
        deep("fingertips.index.link", "index_distl"),
        ("index", "index_distal"),
    ),
    "no thumb": (INSPIRE, lambda c: c["fingertips"].pop("thumb"), ("fingertips", "thumb")),
    "no key vectors": (INSPIRE, deep("key_vectors", []), ("key_vectors",)),
    "key vector of no length": (
        INSPIRE,
        deep("key_vectors.0", ["palm", "palm"]),
        ("[palm, palm]",),
    ),
    "key vector twice": (INSPIRE, deep("key_vectors.0", ["index", "palm"]), ("twice",)),
    "end of a key vector": (INSPIRE, deep("key_vectors.0", ["plam", "index"]), ("plam", "palm")),
    "interface and type": (
        INSPIRE,
        deep("command.interface", "action"),
        ("SetAngle1", "action"),
    ),
    "type": (INSPIRE, deep("command.type", "SetAngle1"), ("type", "SetAngle1", "std_msgs/msg")),
    "ROS name": (INSPIRE, deep("command.name", "/a b"), ("name", "/a b")),
    "rate": (INSPIRE, deep("command.rate_hz", 0.0), ("rate_hz", "above 0")),
    "unit": (INSPIRE, deep("command.unit", "degrees"), ("unit", "degrees", "deg")),
    "unit of the other kind": (INSPIRE, deep("command.unit", "mm"), ("mm", "revolute")),
    "order misses a joint": (
        INSPIRE,
        lambda c: c["command"]["order"].pop(0),
        ("order", "misses little_bend"),
    ),
    "order names a joint twice": (
        INSPIRE,
        deep("command.order.0.joint", "ring_bend"),
        ("ring_bend", "2 times"),
    ),
    "order names a follower": (
        INSPIRE,
        deep("command.order.0.joint", "little_middle"),
        ("little_middle", "actuated"),
    ),
    "sign": (INSPIRE, deep("command.order.0.sign", 2), ("sign", "2", "1, -1")),
    "offset with a range": (INSPIRE, deep("command.order.0.offset", 5.0), ("offset", "per_mille")),
    "silence": (INSPIRE, deep("command.on_silence", "stop"), ("on_silence", "stop", "hold")),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(tmp_path: Path, mistake: str):
    text, change, words = MISTAKES[mistake]
    content = yaml.safe_load(text)
    change(content)
    path = tmp_path / "mine.yaml"
    found = refusal(path, yaml.safe_dump(content, sort_keys=False))
    assert found.startswith(str(path))
    assert "\n" not in found
    for word in words:
        assert word in found


def test_a_key_that_is_there_twice_is_named_with_its_line(tmp_path: Path):
    found = refusal(tmp_path / "mine.yaml", INSPIRE + "side: left\n")
    lines = INSPIRE.count("\n") + 1
    assert f"line {lines}" in found and "'side'" in found and "twice" in found


@pytest.mark.parametrize(
    "text",
    ["", "- a\n", "side: [", "\t", "a: &a [*a]", "1: 2", "? [a]\n: b", "{}", "!!python/none x"],
)
def test_what_is_no_hand_is_refused(tmp_path: Path, text: str):
    assert str(tmp_path) in refusal(tmp_path / "mine.yaml", text)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"hand: \xff\xfe")
    with pytest.raises(UserError, match=r"mine\.yaml"):
        read_hand(path)


def test_a_file_or_name_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(UserError, match="no such file"):
        read_hand(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="Did you mean 'allegro'"):
        read_hand("alegro")


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=True)
    | st.sampled_from(["index_bend", "thumb", "palm", "base", "rad", "", "index_distal"])
    | st.text(max_size=4)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["joint", "follows", "link", "at_m", "x"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def places(content: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every key and index of nested content."""
    if not isinstance(content, (dict, list)):
        return []
    items = content.items() if isinstance(content, dict) else enumerate(content)
    out = []
    for key, value in items:
        out += [(*above, key), *places(value, (*above, key))]
    return out


def put(content: Any, place: tuple[Any, ...], value: Any) -> None:
    """Where an earlier change has taken the place away, nothing."""
    *above, last = place
    try:
        for key in above:
            content = content[key]
        content[last] = value
    except (LookupError, TypeError):
        return


PLACES = places(yaml.safe_load(INSPIRE))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.sampled_from(PLACES), values), min_size=1, max_size=3))
def test_whatever_stands_in_a_file_only_user_errors_come_out(tmp_path: Path, changes: list):
    content = yaml.safe_load(INSPIRE)
    for place, value in changes:
        put(content, place, value)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    try:
        spec = read_hand(path)
    except UserError as error:
        assert str(error).startswith(str(path))
    else:
        q = spec.sample(2, 0)
        assert open_kinematics(spec).tips(q).shape == (2, len(spec.tips), 3)
        assert driver_units(spec).values(q).shape == q.shape


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60))
def test_any_text_at_all_is_refused_politely(tmp_path: Path, text: str):
    path = tmp_path / "mine.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError):
        read_hand(path)
