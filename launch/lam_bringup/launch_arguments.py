"""The arguments that a launch file and the files it includes can be given."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lam_bringup.description import Argument
from lam_bringup.executables import share_directory
from lam_bringup.substitution import Scope, parse, resolve
from lam_bringup.xml_element import Element, located, read_xml
from lam_models.command import UserError

ACTIONS = "arg let group include node set_env"
MAX_INCLUDE_DEPTH = 16


def declared_arguments(
    path: Path,
    environment: Mapping[str, str],
    find_share: Callable[[str], str] = share_directory,
) -> tuple[Argument, ...]:
    """The arguments that a file and the files it includes declare, conditions not considered.

    A file whose name needs a launch argument is left out.
    """
    found: dict[str, Argument] = {}
    for argument in _declarations(path, environment, find_share, 0):
        found.setdefault(argument.name, argument)
    return tuple(found.values())


def _declarations(
    path: Path, environment: Mapping[str, str], find_share: Callable[[str], str], depth: int
) -> Iterator[Argument]:
    if depth > MAX_INCLUDE_DEPTH:
        return
    scope = Scope({}, environment, str(path.parent), find_share)
    waiting = [launch_root(path)]
    while waiting:
        element = waiting.pop(0)
        if element.tag == "arg":
            with located(element):
                yield read_argument(element)
        elif element.tag == "include":
            passed = {child.get("name") for child in element.of("arg")}
            inner = _literal_include(element, scope)
            if inner is not None:
                inside = _declarations(inner, environment, find_share, depth + 1)
                yield from (argument for argument in inside if argument.name not in passed)
        elif element.tag in ("launch", "group"):
            waiting = [*element.children, *waiting]


def _literal_include(element: Element, scope: Scope) -> Path | None:
    """The file of an <include>; None where that depends on an argument or cannot be read."""
    try:
        path = Path(resolve(parse(element.get("file")), scope))
    except UserError:
        return None
    return path if path.is_file() and path.suffix == ".xml" else None


def absolute(path: Path) -> Path:
    """Without '..', and symbolic links kept: an install space may consist of them."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def launch_root(path: Path) -> Element:
    """The <launch> element of a file. UserError where it is none."""
    if not path.is_file():
        raise UserError(f"no launch file '{path}'")
    if not path.name.endswith(".xml"):
        raise UserError(f"'{path}' is not XML: only launch files in XML are read here")
    root = read_xml(path)
    with located(root):
        if root.tag != "launch":
            raise UserError("the root element must be <launch>")
        root.check("version", ACTIONS)
    return root


def read_argument(element: Element) -> Argument:
    """What an <arg> declares."""
    element.check("name default description if unless", "choice")
    for choice in element.of("choice"):
        with located(choice):
            choice.check("value")
            choice.require("value")
    return Argument(
        name=element.require("name"),
        default=element.attributes.get("default"),
        description=" ".join(element.get("description").split()),
        choices=tuple(choice.get("value") for choice in element.of("choice")),
    )
