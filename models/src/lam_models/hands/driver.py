"""Joint positions to the numbers a hand's driver takes, and back: order, sign, unit, offset."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lam_models.hands.spec import HandSpec
from lam_models.hands.spec_parts import RANGE_UNITS

_PER_SI = {"rad": 1.0, "deg": 180.0 / np.pi, "m": 1.0, "mm": 1000.0}
_SPAN = {"share": (0.0, 1.0), "signed_share": (-1.0, 1.0), "per_mille": (0.0, 1000.0)}

Values = Float[np.ndarray, "*poses channels"]


@dataclass(frozen=True)
class DriverUnits:
    """values[channel] = gain * q[joint of the channel] + offset.

    names: what the driver calls its channels, in its order.
    take: where each channel's joint stands in the hand's vector.
    whole: whether the driver takes integers.
    """

    names: tuple[str, ...]
    take: np.ndarray
    gain: Float[np.ndarray, " channels"]
    offset: Float[np.ndarray, " channels"]
    whole: bool

    def values(self, q: Float[np.ndarray, "*poses actuated"]) -> Values:
        """The driver's numbers of the hand's vector."""
        values = self.gain * q[..., self.take] + self.offset
        # Adding zero takes the sign off a negative zero.
        return np.rint(values) + 0.0 if self.whole else values

    def joints(self, values: Values) -> Float[np.ndarray, "*poses actuated"]:
        """The hand's vector of the driver's numbers: exact up to its rounding."""
        q = np.empty(values.shape)
        q[..., self.take] = (values - self.offset) / self.gain
        return q


def driver_units(spec: HandSpec) -> DriverUnits:
    """What the command section of a hand says, as numbers."""
    order = spec.command.order
    take = np.array([spec.actuated.index(channel.joint) for channel in order])
    sign = np.array([float(channel.sign) for channel in order])
    unit = spec.command.unit
    if unit in RANGE_UNITS:
        low, high = _SPAN[unit]
        lower, upper = spec.lower[take], spec.upper[take]
        gain = sign * (high - low) / (upper - lower)
        # The lower limit is `low`, or `high` where the range is turned round.
        offset = np.where(sign > 0, low, high) - gain * lower
    else:
        gain = sign * _PER_SI[unit]
        offset = np.array([channel.offset for channel in order])
    names = tuple(channel.name or channel.joint for channel in order)
    return DriverUnits(names, take, gain, offset, whole=unit == "per_mille")
