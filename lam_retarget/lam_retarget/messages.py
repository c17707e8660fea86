"""The one place that translates between ROS messages and plain values.

Pure functions, no node, no clock.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import numpy as np
from builtin_interfaces.msg import Duration, Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from lam_models.command import UserError
from lam_msgs.msg import LatentAction
from lam_retarget.judging import NS_PER_S, Heard


def time_message(stamp_ns: int) -> Time:
    """A ROS time."""
    return Time(sec=stamp_ns // NS_PER_S, nanosec=stamp_ns % NS_PER_S)


def time_ns(message: Time | Duration) -> int:
    """Nanoseconds of a ROS time or duration."""
    return message.sec * NS_PER_S + message.nanosec


def heard(message: LatentAction) -> Heard:
    """A latent action as it came: nothing is checked here."""
    return Heard(
        space=message.space,
        space_hash=message.space_hash,
        horizon=message.horizon,
        dim=message.dim,
        values=np.array(message.values, dtype=np.float32),
        stamp_ns=time_ns(message.header.stamp),
        latency_ns=time_ns(message.latency),
        step_ns=time_ns(message.step_duration),
    )


def find_type(name: str) -> type:
    """The class of "package/msg/Name", of an action or a service likewise.

    UserError that names the package where that is not installed.
    """
    package, _, rest = name.partition("/")
    folder, _, word = rest.partition("/")
    if not word:
        raise UserError(f"'{name}' is no ROS type: package/msg/Name needed")
    try:
        module = importlib.import_module(f"{package}.{folder}")
    except ImportError:
        raise UserError(
            f"the hand's driver takes {name}, but the ROS package '{package}' is not installed "
            f"or not sourced"
        ) from None
    if not hasattr(module, word):
        raise UserError(f"the ROS package '{package}' has no {name}")
    return getattr(module, word)


def diagnostics(
    name: str, text: str, well: bool, values: Mapping[str, str], stamp_ns: int
) -> DiagnosticArray:
    """One status: OK where all is well, else a warning."""
    status = DiagnosticStatus(
        level=DiagnosticStatus.OK if well else DiagnosticStatus.WARN,
        name=name,
        message=text,
        hardware_id=values.get("hand", ""),
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
    return DiagnosticArray(header=Header(stamp=time_message(stamp_ns)), status=[status])
