"""What a message says of itself, read from its CDR bytes without decoding it."""

from __future__ import annotations

import struct

NS_PER_S = 1_000_000_000
DELTA_TYPE = "lam_msgs/msg/EndEffectorDelta"
# CDR: four bytes of encapsulation, of which the second says the order of bytes.
_LITTLE_ENDIAN = 1
_BODY = 4
# After the frame's name: translation, rotation (3 doubles each), then duration (2 words).
_VECTORS_BYTES, _DURATION_BYTES = 48, 8


def begins_with_header(definition: str) -> bool:
    """Whether the first field of a type is a std_msgs/Header."""
    for line in definition.splitlines():
        words = line.partition("#")[0].split()
        if len(words) >= 2 and "=" not in line.partition("#")[0]:
            return words[0] in ("std_msgs/Header", "std_msgs/msg/Header", "Header")
        if words[:1] and words[0].startswith("===="):
            return False
    return False


def header_ns(data: bytes) -> int:
    """Stamp of a message that begins with a header; 0 where there is none."""
    if len(data) < _BODY + 8:
        return 0
    sec, nanosec = struct.unpack_from(_order(data) + "iI", data, _BODY)
    return max(0, sec * NS_PER_S + nanosec)


def delta_sequence(data: bytes) -> tuple[int, int] | None:
    """Source and sequence number of an EndEffectorDelta; None where it is cut short."""
    order = _order(data)
    try:
        (length,) = struct.unpack_from(order + "I", data, _BODY + 8)
        # Doubles lie on multiples of eight, counted after the encapsulation.
        at = -(-(12 + length) // 8) * 8 + _VECTORS_BYTES + _DURATION_BYTES
        sequence, source = struct.unpack_from(order + "IB", data, _BODY + at)
    except struct.error:
        return None
    return source, sequence


def _order(data: bytes) -> str:
    return "<" if data[1] & _LITTLE_ENDIAN else ">"
