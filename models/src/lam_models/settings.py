"""Settings as a frozen dataclass, declared to ROS as typed, described, bounded parameters.

    @dataclass(frozen=True)
    class PolicySettings:
        rate_hz: float = setting(20.0, "control rate", low=1.0, high=200.0, unit="Hz")

    settings = declare(node, PolicySettings, rcl_interfaces.msg)

The field's name is the parameter's name. Nothing of ROS is imported: the node and the message
module are the caller's.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, get_type_hints, runtime_checkable

from lam_models.command import UserError, unknown

S = TypeVar("S")

_SCALARS: tuple[type, ...] = (bool, int, float, str)
_SEQUENCES: Mapping[Any, type] = {tuple[str, ...]: str, tuple[float, ...]: float}
_KEY = "lam_models.setting"


@dataclass(frozen=True)
class Constraint:
    """What a value must be. Bounds are inclusive and hold for each entry of a sequence."""

    description: str
    low: float | int | None = None
    high: float | int | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    read_only: bool = True

    def text(self) -> str:
        """The description with its unit and choices, for `ros2 param describe`."""
        unit = f" [{self.unit}]" if self.unit else ""
        choices = f" One of: {', '.join(self.choices)}." if self.choices else ""
        return f"{self.description}{unit}{choices}"

    def range_text(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        if self.low is not None and self.high is not None:
            return f"from {self.low:g} to {self.high:g}{unit}"
        if self.low is not None:
            return f"at least {self.low:g}{unit}"
        return f"at most {self.high:g}{unit}"


def setting(
    default: Any,
    description: str,
    *,
    low: float | int | None = None,
    high: float | int | None = None,
    choices: Sequence[str] = (),
    unit: str = "",
    read_only: bool = True,
) -> Any:
    """A dataclass field with its constraint. `default` must satisfy it, too."""
    constraint = Constraint(description, low, high, tuple(choices), unit, read_only)
    return dataclasses.field(default=default, metadata={_KEY: constraint})


@runtime_checkable
class ParameterNode(Protocol):
    """The part of rclpy.node.Node that is used."""

    @property
    def _parameter_overrides(self) -> Mapping[str, Any]: ...

    def declare_parameter(
        self, name: str, value: Any, descriptor: Any, ignore_override: bool
    ) -> Any: ...


def from_mapping(kind: type[S], values: Mapping[str, Any]) -> S:
    """Settings from plain values (missing ones take their defaults), each checked.

    Raises UserError for an unknown name, a wrong type or a value out of range.
    """
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in fields:
            raise unknown("parameter", name, fields)
    types = get_type_hints(kind)
    checked = {
        name: _checked(name, types[name], _constraint(field), values.get(name, field.default))
        for name, field in fields.items()
    }
    return kind(**checked)


def declare(node: ParameterNode, kind: type[S], messages: Any) -> S:
    """Declare every field of `kind` on the node and return the settings it was started with.

    messages: the module rcl_interfaces.msg.
    Raises UserError as from_mapping does, also for a given parameter that no field knows.
    """
    overrides = {
        name: parameter.value
        for name, parameter in node._parameter_overrides.items()
        if name != "use_sim_time" and not name.startswith("qos_overrides.")
    }
    settings = from_mapping(kind, overrides)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        descriptor = _descriptor(value, _constraint(field), messages)
        value = list(value) if isinstance(value, tuple) else value
        # The override is already in the value, checked and converted.
        node.declare_parameter(field.name, value, descriptor, ignore_override=True)
    return settings


def _constraint(field: dataclasses.Field) -> Constraint:
    return field.metadata.get(_KEY) or Constraint(description=field.name.replace("_", " "))


def _checked(name: str, kind: Any, constraint: Constraint, value: Any) -> Any:
    if kind in _SEQUENCES:
        if value is None:  # How ROS gives an empty list.
            return ()
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise UserError(f"parameter '{name}' must be a list, not {value!r}")
        return tuple(_checked_scalar(name, _SEQUENCES[kind], constraint, item) for item in value)
    if kind not in _SCALARS:
        raise TypeError(f"field '{name}': a setting cannot be of type {kind}")
    return _checked_scalar(name, kind, constraint, value)


def _checked_scalar(name: str, kind: type, constraint: Constraint, value: Any) -> Any:
    # In YAML `rate_hz: 20` is an integer; a user who writes it means the number.
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise UserError(f"parameter '{name}' must be of type {kind.__name__}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"parameter '{name}' must be a finite number, not {value}")
    if constraint.choices and value not in constraint.choices:
        raise unknown(f"value of parameter '{name}'", str(value), constraint.choices)
    low = -math.inf if constraint.low is None else constraint.low
    high = math.inf if constraint.high is None else constraint.high
    if isinstance(value, (int, float)) and not low <= value <= high:
        raise UserError(f"parameter '{name}' is {value:g}, must be {constraint.range_text()}")
    return value


def _descriptor(value: Any, constraint: Constraint, messages: Any) -> Any:
    descriptor = messages.ParameterDescriptor()
    descriptor.description = constraint.text()
    descriptor.read_only = constraint.read_only
    # An empty list has no element to tell its type by.
    descriptor.dynamic_typing = value == ()
    if constraint.low is None and constraint.high is None:
        return descriptor
    if isinstance(value, float):
        low = -math.inf if constraint.low is None else float(constraint.low)
        high = math.inf if constraint.high is None else float(constraint.high)
        span = messages.FloatingPointRange(from_value=low, to_value=high)
        descriptor.floating_point_range = [span]
    elif isinstance(value, int) and not isinstance(value, bool):
        low = -(2**63) if constraint.low is None else int(constraint.low)
        high = 2**63 - 1 if constraint.high is None else int(constraint.high)
        span = messages.IntegerRange(from_value=low, to_value=high, step=1)
        descriptor.integer_range = [span]
    return descriptor
