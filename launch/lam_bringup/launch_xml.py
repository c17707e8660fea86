"""Reads the subset of ROS 2 launch XML that this project uses, and means what `ros2 launch` means.

In: a file and its launch arguments. Out: a Launch, a pure description; nothing is started and ROS
is not needed. Everything outside the subset is an error that says what is supported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lam_bringup.description import (
    Launch,
    Parameter,
    ParameterFile,
    Process,
    RosSettings,
)
from lam_bringup.executables import share_directory
from lam_bringup.launch_arguments import (
    ACTIONS,
    MAX_INCLUDE_DEPTH,
    absolute,
    declared_arguments,
    launch_root,
    read_argument,
)
from lam_bringup.parameter_value import parameter_value
from lam_bringup.substitution import Scope, is_literal, parse, resolve, split_words
from lam_bringup.xml_element import Element, located
from lam_models.command import UserError, unknown

_OUTPUTS = ("screen", "log", "both")


def read_launch(
    path: Path,
    given: Mapping[str, str],
    environment: Mapping[str, str],
    find_share: Callable[[str], str] = share_directory,
) -> Launch:
    """What the file asks for under these launch arguments and in this environment."""
    path = absolute(path)
    known = declared_arguments(path, environment, find_share)
    for name in given:
        if name not in {argument.name for argument in known}:
            raise unknown("launch argument", name, [argument.name for argument in known])
    reader = _Reader(dict(environment), find_share, processes=[], seen_directory=str(path.parent))
    block = _Block(dict(given), dict(environment), str(path.parent))
    reader.run(launch_root(path), block)
    return Launch(path, known, tuple(_with_unique_labels(reader.processes)))


@dataclass
class _Block:
    """The variables and environment that hold at one point of a file."""

    variables: dict[str, str]
    environment: dict[str, str]
    directory: str

    def inner(self) -> _Block:
        """A copy, whose changes end with the group."""
        return replace(self, variables=dict(self.variables), environment=dict(self.environment))


@dataclass
class _Reader:
    """Goes through the elements in order, as `ros2 launch` does, and collects processes."""

    original_environment: Mapping[str, str]
    find_share: Callable[[str], str]
    processes: list[Process]
    # $(dirname) of ROS 2 Jazzy keeps the directory of the file included last.
    seen_directory: str
    depth: int = field(default=0)

    def run(self, parent: Element, block: _Block) -> None:
        """The children of <launch> or <group>."""
        for element in parent.children:
            with located(element):
                if self._wanted(element, block):
                    getattr(self, f"_{element.tag}")(element, block)

    def _scope(self, block: _Block) -> Scope:
        known = block.directory == self.seen_directory
        directory = block.directory if known else None
        return Scope(block.variables, block.environment, directory, self.find_share)

    def _text(self, text: str, block: _Block) -> str:
        return resolve(parse(text), self._scope(block))

    def _attribute(self, element: Element, name: str, block: _Block, default: str = "") -> str:
        return self._text(element.get(name, default), block)

    def _truth(self, text: str, block: _Block) -> bool:
        value = self._text(text, block).strip().lower()
        if value not in ("true", "1", "false", "0"):
            raise UserError(f"'{text}' is '{value}', which is none of true, false, 1, 0")
        return value in ("true", "1")

    def _wanted(self, element: Element, block: _Block) -> bool:
        if "if" in element.attributes and "unless" in element.attributes:
            raise UserError("if and unless exclude each other")
        if "if" in element.attributes:
            return self._truth(element.get("if"), block)
        return "unless" not in element.attributes or not self._truth(element.get("unless"), block)

    def _arg(self, element: Element, block: _Block) -> None:
        argument = read_argument(element)
        if argument.name not in block.variables:
            if argument.default is None:
                hint = f" ({argument.description})" if argument.description else ""
                raise UserError(
                    f"the launch argument '{argument.name}'{hint} must be given: "
                    f"{argument.name}:=value"
                )
            block.variables[argument.name] = self._text(argument.default, block)
        value = block.variables[argument.name]
        if argument.choices and value not in argument.choices:
            raise unknown(argument.name, value, argument.choices)

    def _let(self, element: Element, block: _Block) -> None:
        element.check("name value if unless")
        name = self._text(element.require("name"), block)
        block.variables[name] = self._text(element.require("value"), block)

    def _set_env(self, element: Element, block: _Block) -> None:
        element.check("name value if unless")
        name = self._text(element.require("name"), block)
        block.environment[name] = self._text(element.require("value"), block)

    def _group(self, element: Element, block: _Block) -> None:
        element.check("scoped if unless", ACTIONS)
        scoped = self._truth(element.get("scoped", "true"), block)
        self.run(element, block.inner() if scoped else block)

    def _include(self, element: Element, block: _Block) -> None:
        """Not scoped, as in ROS 2: what the file sets stays set, up to the end of a <group>."""
        element.check("file if unless", "arg")
        path = absolute(Path(self._text(element.require("file"), block)))
        for argument in element.of("arg"):
            with located(argument):
                argument.check("name value")
                name = self._text(argument.require("name"), block)
                value = self._text(argument.require("value"), block)
                block.variables[name] = value
        self.depth += 1
        if self.depth > MAX_INCLUDE_DEPTH:
            raise UserError("files include each other")
        self.seen_directory = str(path.parent)
        inside = replace(block, directory=str(path.parent))
        self.run(launch_root(path), inside)
        self.depth -= 1

    def _node(self, element: Element, block: _Block) -> None:
        element.check(
            "pkg exec name namespace args output respawn respawn_delay on_exit if unless",
            "param remap env",
        )
        executable = self._text(element.require("exec"), block)
        name = self._attribute(element, "name", block)
        output = self._attribute(element, "output", block, default="log")
        if output not in _OUTPUTS:
            raise unknown("output", output, _OUTPUTS)
        environment = dict(block.environment)
        for child in element.of("env"):
            with located(child):
                child.check("name value")
                key = self._text(child.require("name"), block)
                environment[key] = self._text(child.require("value"), block)
        before = self.original_environment
        changed = ((k, v) for k, v in environment.items() if before.get(k) != v)
        words = split_words(parse(element.get("args")))
        process = Process(
            label=name or executable,
            package=self._text(element.require("pkg"), block),
            executable=executable,
            arguments=tuple(resolve(word, self._scope(block)) for word in words),
            ros=self._ros_settings(element, name, block),
            environment=tuple(sorted(changed)),
            output=output,
            respawn_delay_s=self._respawn_delay_s(element, block),
            ends_launch=_ends_launch(element),
        )
        self.processes.append(process)

    def _ros_settings(self, element: Element, name: str, block: _Block) -> RosSettings:
        namespace = self._attribute(element, "namespace", block)
        if "namespace" in element.attributes:
            namespace = f"/{namespace.strip('/')}"
        parameters: list[Parameter | ParameterFile] = []
        for child in element.of("param"):
            with located(child):
                parameters += self._parameters(child, "", block)
        remaps = []
        for child in element.of("remap"):
            with located(child):
                child.check("from to")
                source = self._text(child.require("from"), block)
                remaps.append((source, self._text(child.require("to"), block)))
        return RosSettings(name, namespace, tuple(parameters), tuple(remaps))

    def _parameters(
        self, element: Element, prefix: str, block: _Block
    ) -> Iterator[Parameter | ParameterFile]:
        """Those of one <param>: a file, a value, or the nested ones with dotted names."""
        element.check(
            "from" if "from" in element.attributes else "name value type value-sep", "param"
        )
        if "from" in element.attributes:
            if prefix or element.children:
                raise UserError("a parameter file cannot be nested")
            path = self._text(element.get("from"), block)
            yield ParameterFile(path)
            return
        name = prefix + self._text(element.require("name"), block)
        if ("value" in element.attributes) == bool(element.children):
            raise UserError(f"'{name}' needs either a value or nested parameters")
        for child in element.children:
            with located(child):
                yield from self._parameters(child, f"{name}.", block)
        if "value" in element.attributes:
            type_name, separator = element.get("type"), element.get("value-sep")
            scope = self._scope(block)
            yield Parameter(
                name, parameter_value(element.get("value"), type_name, separator, scope)
            )

    def _respawn_delay_s(self, element: Element, block: _Block) -> float | None:
        respawn = self._truth(element.get("respawn", "false"), block)
        text = element.get("respawn_delay", "0")
        try:
            delay_s = float(text)
        except ValueError:
            delay_s = math.nan
        if not is_literal(parse(text)) or not 0.0 <= delay_s < math.inf:
            raise UserError(f"respawn_delay is '{text}', must be a number of seconds, at least 0")
        return delay_s if respawn else None


def _ends_launch(element: Element) -> bool:
    value = element.attributes.get("on_exit")
    if value not in (None, "shutdown"):
        raise unknown("value of on_exit", value, ["shutdown"])
    return value is not None


def _with_unique_labels(processes: list[Process]) -> Iterator[Process]:
    """Labels of nodes that share a name get a number."""
    counts: dict[str, int] = {}
    for process in processes:
        count = counts[process.label] = counts.get(process.label, 0) + 1
        label = process.label if count == 1 else f"{process.label}-{count}"
        yield replace(process, label=label)
