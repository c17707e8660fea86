"""A robot is one YAML file: a ROS 2 parameter file with a section for each node.

    sim_node:
      ros__parameters:
        camera_rate_hz: 30.0

The same file goes to every node, and each takes its own section. Checked here is what ROS would
answer with a crash in the middle of the start; whether a parameter exists, its node says.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from lam_models.command import UserError, unknown

_PARAMETERS = "ros__parameters"
_KINDS = ("bool", "int", "float", "str")


def check_parameter_file(path: Path) -> None:
    """UserError with the line of the first mistake."""
    if not path.is_file():
        known = [other.stem for other in path.parent.glob("*.yaml")]
        raise UserError(f"{path.parent}: {unknown('parameter file', path.stem, known)}")
    text = path.read_text()
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        aliases = [t for t in yaml.scan(text) if isinstance(t, yaml.AliasToken)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise UserError(f"{path}:{line}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: {error}") from None
    try:
        for token in aliases:
            raise _Problem(token.start_mark, f"ROS 2 reads no aliases (*{token.value})")
        if root is None:
            raise UserError(f"{path}: the file is empty")
        _check_section(root, "")
    except _Problem as problem:
        raise UserError(f"{path}:{problem}") from None


class _Problem(Exception):
    def __init__(self, mark: yaml.Mark, text: str) -> None:
        super().__init__(f"{mark.line + 1}: {text}")


def _entries(node: yaml.Node, what: str) -> Iterator[tuple[str, yaml.Node]]:
    """Pairs of a mapping; a repeated key would silently win."""
    if not isinstance(node, yaml.MappingNode):
        raise _Problem(node.start_mark, f"{what} must be a mapping, not {_describe(node)}")
    seen: set[str] = set()
    for key, value in node.value:
        if key.value in seen:
            raise _Problem(key.start_mark, f"'{key.value}' is given twice")
        seen.add(key.value)
        yield key.value, value


def _check_section(node: yaml.Node, name: str) -> None:
    """A node with its parameters, or a namespace (at first the file) with nodes in it."""
    entries = dict(_entries(node, f"'{name}'" if name else "the file"))
    if not entries:
        raise _Problem(node.start_mark, f"'{name}' is empty" if name else "the file is empty")
    for key, value in entries.items():
        if key == _PARAMETERS and name:
            _check_parameters(value, name)
        elif isinstance(value, yaml.MappingNode):
            _check_section(value, f"{name}/{key}" if name else key)
        else:
            where = f"'{name}'" if name else "the file"
            raise _Problem(value.start_mark, f"'{key}' in {where} is not inside '{_PARAMETERS}:'")


def _check_parameters(node: yaml.Node, name: str) -> None:
    for key, value in _entries(node, f"the parameters of '{name}'"):
        full = f"{name}.{key}"
        if isinstance(value, yaml.MappingNode):
            _check_parameters(value, full)
        elif isinstance(value, yaml.SequenceNode):
            kinds = {_kind(item) for item in value.value}
            if len(kinds) > 1 or not kinds <= set(_KINDS):
                found = ", ".join(sorted(kinds))
                raise _Problem(
                    value.start_mark, f"the list '{full}' holds {found}: one of {_ALLOWED} needed"
                )
        elif _kind(value) not in _KINDS:
            raise _Problem(
                value.start_mark, f"'{full}' is {_describe(value)}: {_ALLOWED} or a list needed"
            )


def _kind(node: yaml.Node) -> str:
    return node.tag.rpartition(":")[2]


def _describe(node: yaml.Node) -> str:
    names = {"seq": "a list", "map": "a mapping", "null": "empty", "timestamp": "a date"}
    if _kind(node) in names:
        return names[_kind(node)]
    return f"'{node.value}'"


_ALLOWED = ", ".join(_KINDS)
