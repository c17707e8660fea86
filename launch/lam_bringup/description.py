"""What a launch file asks for, as plain values: which processes, in which order, started how."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import yaml

Scalar: TypeAlias = "bool | int | float | str"
Value: TypeAlias = "Scalar | tuple[Scalar, ...]"


@dataclass(frozen=True)
class Argument:
    """A launch argument as a file declares it. default: None where it must be given."""

    name: str
    default: str | None = None
    description: str = ""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Parameter:
    """One parameter; nested ones have dots in their names."""

    name: str
    value: Value


@dataclass(frozen=True)
class ParameterFile:
    """A ROS 2 parameter file."""

    path: str


@dataclass(frozen=True)
class RosSettings:
    """What follows --ros-args. The order of parameters matters: later ones win."""

    name: str = ""
    namespace: str = ""
    parameters: tuple[Parameter | ParameterFile, ...] = ()
    remaps: tuple[tuple[str, str], ...] = ()

    def arguments(self) -> list[str]:
        """Command-line words as `ros2 run` takes them."""
        words = ["--ros-args"]
        words += ["-r", f"__node:={self.name}"] if self.name else []
        words += ["-r", f"__ns:={self.namespace}"] if self.namespace else []
        for item in self.parameters:
            if isinstance(item, ParameterFile):
                words += ["--params-file", item.path]
            else:
                words += ["-p", f"{item.name}:={yaml_text(item.value)}"]
        for source, target in self.remaps:
            words += ["-r", f"{source}:={target}"]
        return words


@dataclass(frozen=True)
class Process:
    """One node to run.

    label: unique within the launch; it marks the node's lines.
    environment: what differs from the launching shell.
    output: "screen", "both", or "log" (only stderr is shown).
    respawn_delay_s: None where it is not started again.
    ends_launch: when it ends, everything ends.
    """

    label: str
    package: str
    executable: str
    arguments: tuple[str, ...] = ()
    ros: RosSettings = RosSettings()
    environment: tuple[tuple[str, str], ...] = ()
    output: str = "log"
    respawn_delay_s: float | None = None
    ends_launch: bool = False

    def command(self, executable: Path) -> list[str]:
        """The command line, given where the executable was found."""
        return [str(executable), *self.arguments, *self.ros.arguments()]

    def text(self) -> str:
        """As one would type it in a shell with `ros2 run`."""
        settings = [f"{name}={shlex.quote(value)}" for name, value in self.environment]
        words = [self.package, self.executable, *self.arguments, *self.ros.arguments()]
        return " ".join([*settings, "ros2 run", shlex.join(words)])


@dataclass(frozen=True)
class Launch:
    """A launch file with its arguments given: all that was declared, and what is to run."""

    path: Path
    arguments: tuple[Argument, ...]
    processes: tuple[Process, ...]

    def parameter_files(self) -> list[Path]:
        """Every parameter file once, in order."""
        items = [item for process in self.processes for item in process.ros.parameters]
        return list(dict.fromkeys(Path(i.path) for i in items if isinstance(i, ParameterFile)))


def yaml_text(value: Value | Sequence[Scalar]) -> str:
    """A value as ROS reads it on a command line, on one line."""
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=2**31, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
