"""The text of a message type with all it is made of, as bags carry it (encoding ros2msg).

Found in the share folders of the ament prefixes, where every build of a message package leaves it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from lam_models.command import UserError

_SEPARATOR = "=" * 80
_FIELD = re.compile(r"^\s*([A-Za-z][A-Za-z0-9_]*(?:/[A-Za-z][A-Za-z0-9_]*)*)(?:<=\d+)?(?:\[|\s)")
_BUILT_IN = {
    *("bool", "byte", "char", "string", "wstring", "float32", "float64"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
}
# Types that mean another one.
_ALIASES = {"Header": "std_msgs/Header"}


def definition_of(type_name: str) -> str:
    """The definition of "pkg/msg/Name". UserError where a package of it is not installed."""
    package, _, name = type_name.partition("/msg/")
    root = f"{package}/{name}"
    parts, waiting, seen = [_text(root)], _needed(root), {root}
    while waiting:
        one = waiting.pop(0)
        if one not in seen:
            seen.add(one)
            parts.append(f"{_SEPARATOR}\nMSG: {one}\n{_text(one)}")
            waiting += _needed(one)
    return "\n".join(part.rstrip("\n") for part in parts) + "\n"


def type_hash(type_name: str) -> str:
    """The hash by which ROS 2 (Iron and later) tells types apart, "" where it is not known."""
    package, _, name = type_name.partition("/msg/")
    for prefix in _prefixes():
        file = prefix / "share" / package / "msg" / f"{name}.json"
        if file.exists():
            hashes = json.loads(file.read_text()).get("type_hashes", [])
            return next((h["hash_string"] for h in hashes if h["type_name"] == type_name), "")
    return ""


def _needed(name: str) -> list[str]:
    """The types that a type's fields have, in their order."""
    out = []
    for line in _text(name).splitlines():
        found = _FIELD.match(line.partition("#")[0])
        if found is None or found[1] in _BUILT_IN:
            continue
        word = _ALIASES.get(found[1], found[1].replace("/msg/", "/"))
        out.append(word if "/" in word else f"{name.partition('/')[0]}/{word}")
    return out


@lru_cache(maxsize=512)
def _text(name: str) -> str:
    package, _, short = name.partition("/")
    for prefix in _prefixes():
        file = prefix / "share" / package / "msg" / f"{short}.msg"
        if file.exists():
            return file.read_text(encoding="utf-8")
    raise UserError(f"the definition of {package}/msg/{short} is not installed (no {short}.msg)")


def _prefixes() -> Sequence[Path]:
    return [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
