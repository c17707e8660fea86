"""The type of a parameter written in a launch file: guessed by YAML's rules, or stated.

`value="1"` is an integer, `"1.5"` a number, `"true"` a boolean, `"'1'"` or type="str" a string,
`"[1, 2]"` a list. ROS 2 knows only scalars and lists whose entries share one type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from lam_bringup.description import Value
from lam_bringup.substitution import Scope, Template, is_literal, parse, resolve
from lam_models.command import UserError, unknown

_SCALARS: Mapping[str, type] = {"str": str, "bool": bool, "int": int, "float": float}
_TYPES: Mapping[str, type | None] = {
    "yaml": None,
    **_SCALARS,
    **{f"list_of_{name}": kind for name, kind in _SCALARS.items()},
}


def parameter_value(text: str, type_name: str, separator: str, scope: Scope) -> Value:
    """The value of a <param>. UserError where it is of no type that a parameter can have.

    type_name: the attribute type, "" where absent. separator: value-sep, "" where absent.
    """
    if type_name and type_name not in _TYPES:
        raise unknown("parameter type", type_name, _TYPES)
    kind = _TYPES[type_name] if type_name else None
    wants_list = type_name.startswith("list_of_")
    if separator and kind is not None and not wants_list:
        raise UserError(f"value-sep makes a list, which is not of type '{type_name}'")
    if kind is not None and not wants_list:
        return _convert(resolve(parse(text), scope), kind)
    # As in ROS 2 launch: YAML is read before substitution, and a substitution's result once more.
    if separator:
        entries = [_convert(part, kind) for part in text.split(separator)]
        return _uniform([_item(entry, kind, scope) for entry in entries], text)
    written = _read_or_text(text)
    if wants_list and not isinstance(written, list):
        raise UserError(f"'{text}' is not a list, but type='{type_name}'")
    value = _resolved(parse(written), scope) if isinstance(written, str) else written
    if isinstance(value, list):
        return _uniform([_item(entry, kind, scope) for entry in value], text)
    return _scalar(value, text)


def _resolved(template: Template, scope: Scope) -> Any:
    text = resolve(template, scope)
    if is_literal(template):
        return text
    try:
        return yaml.safe_load(text) if text else text
    except yaml.YAMLError:
        raise UserError(
            f"'{text}' is not valid YAML; give the parameter type=\"str\" if it is meant as text"
        ) from None


def _read_or_text(text: str) -> Any:
    """By YAML's rules; the text itself where it is no YAML, as with some substitutions in it."""
    try:
        return yaml.safe_load(text) if text else text
    except yaml.YAMLError:
        return text


def _item(entry: Any, kind: type | None, scope: Scope) -> Any:
    """One entry of a list: only a substitution's result is converted to the stated type."""
    if isinstance(entry, str):
        template = parse(entry)
        if kind is not None and not is_literal(template):
            return _convert(resolve(template, scope), kind)
        entry = _resolved(template, scope)
    if kind is not None and type(entry) is not kind:
        raise UserError(f"'{entry}' in the list is not of type {kind.__name__}")
    return entry


def _convert(text: str, kind: type | None) -> Any:
    """The text as a value of this type, or by YAML's rules."""
    if kind is None:
        return _read_or_text(text)
    if kind is str:
        return text
    if kind is bool:
        value = {"1": True, "0": False}.get(text)
        value = _read_or_text(text) if value is None else value
        if isinstance(value, bool):
            return value
        raise UserError(f"'{text}' is not of type bool")
    try:
        return kind(text)
    except ValueError:
        raise UserError(f"'{text}' is not of type {kind.__name__}") from None


def _scalar(value: Any, text: str) -> Any:
    if type(value) in _SCALARS.values():
        return value
    raise UserError(f"'{text}' is a {type(value).__name__}: {_ALLOWED}")


def _uniform(values: list[Any], text: str) -> tuple[Any, ...]:
    """The list as a tuple, if its entries share one type."""
    kinds = {type(_scalar(value, text)) for value in values}
    if len(kinds) > 1:
        names = ", ".join(sorted(kind.__name__ for kind in kinds))
        raise UserError(f"the list '{text}' mixes {names}: {_ALLOWED}")
    return tuple(values)


_ALLOWED = "a parameter is a bool, int, float, str, or a list of one of these"
